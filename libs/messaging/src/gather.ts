interface Waiting<Item, Outcome> {
  readonly item: Item;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

export interface GatherOptions<Item, Outcome> {
  /** Writes many at once, and gives the outcome of each; undefined for one that is better written alone. All or nothing when it throws. */
  readonly together: (items: readonly Item[]) => Promise<readonly (Outcome | undefined)[]>;
  /** Without it what `together` throws is thrown to each. */
  readonly alone?: (item: Item) => Promise<Outcome>;
  /** One transaction stays short, and so do the waits for its locks. Default 100. */
  readonly most?: number;
}

/**
 * Group commit for what many write at about the same time: while one write is under way the next ones gather, and a lone one does
 * not wait for others. What cannot be written with the others is written alone, so that one in trouble is in nobody's way.
 */
export class Gather<Item, Outcome> {
  private waiting: Waiting<Item, Outcome>[] = [];
  private isWriting = false;

  constructor(private readonly options: GatherOptions<Item, Outcome>) {}

  /** Resolves when the item is written; rejects with what was in its way. */
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
    // What was begun together ends together: the rest of it comes within this turn.
    await new Promise(setImmediate);
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, this.options.most ?? 100);
      const left = await this.writeTogether(batch);
      // Nobody waits for one that waits for somebody else's lock.
      void this.writeAlone(left);
    }
    this.isWriting = false;
  }

  /** Gives those that are left. */
  private async writeTogether(batch: readonly Waiting<Item, Outcome>[]): Promise<Waiting<Item, Outcome>[]> {
    let outcomes: readonly (Outcome | undefined)[] = [];
    try {
      outcomes = await this.options.together(batch.map(({ item }) => item));
    } catch (error) {
      // Whose fault it was is seen when each is tried alone.
      if (!this.options.alone) {
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
    const { alone = notWritten } = this.options;
    for (const { item, resolve, reject } of batch) {
      try {
        resolve(await alone(item));
      } catch (error) {
        reject(error);
      }
    }
  }
}

function notWritten(): never {
  throw new Error('it was not written with the others, and cannot be written alone');
}
