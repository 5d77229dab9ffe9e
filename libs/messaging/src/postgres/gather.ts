interface Waiting<Item, Outcome> {
  readonly item: Item;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

export interface GatherOptions<Item, Outcome> {
  /** Writes all items at once and returns their outcomes, undefined for an item to be written alone. If it throws, nothing was written. */
  readonly writeAll: (items: readonly Item[]) => Promise<readonly (Outcome | undefined)[]>;
  /** Writes one item. Without it, what `writeAll` throws is thrown to every caller. */
  readonly writeOne?: (item: Item) => Promise<Outcome>;
  /** The maximum number of items in a batch, default 100. It keeps a transaction, and the waits for its locks, short. */
  readonly maxBatch?: number;
}

/**
 * Group commit for concurrent writes. While one batch is being written, the next one gathers; a single item does not wait for
 * others. An item that cannot be written with the others is written alone, so that a failing item does not block the rest.
 */
export class Gather<Item, Outcome> {
  private waiting: Waiting<Item, Outcome>[] = [];
  private isWriting = false;

  constructor(private readonly options: GatherOptions<Item, Outcome>) {}

  /** Resolves when the item is written, and rejects with the error that prevented it. */
  async write(item: Item): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ item, resolve, reject });
      void this.run();
    });
  }

  /** Never throws. */
  private async run(): Promise<void> {
    if (this.isWriting) return;
    this.isWriting = true;
    // Items that were started together finish together, so the rest of them arrive within this turn.
    await new Promise(setImmediate);
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, this.options.maxBatch ?? 100);
      const left = await this.writeTogether(batch);
      // Not awaited, because an item blocked on a lock must not hold up the next batch.
      void this.writeAlone(left);
    }
    this.isWriting = false;
  }

  /** Returns the items that were not written. */
  private async writeTogether(batch: readonly Waiting<Item, Outcome>[]): Promise<Waiting<Item, Outcome>[]> {
    let outcomes: readonly (Outcome | undefined)[] = [];
    try {
      outcomes = await this.options.writeAll(batch.map(({ item }) => item));
    } catch (error) {
      // Trying each item alone shows which one is at fault.
      if (!this.options.writeOne) {
        for (const { reject } of batch) reject(error);
        return [];
      }
    }
    return batch.filter(({ resolve }, n) => {
      const outcome = outcomes[n];
      if (outcome === undefined) return true;
      resolve(outcome);
      return false;
    });
  }

  private async writeAlone(batch: readonly Waiting<Item, Outcome>[]): Promise<void> {
    const { writeOne = notWritten } = this.options;
    for (const { item, resolve, reject } of batch) {
      try {
        resolve(await writeOne(item));
      } catch (error) {
        reject(error);
      }
    }
  }
}

function notWritten(): never {
  throw new Error('the item was not written with the batch, and cannot be written alone');
}
