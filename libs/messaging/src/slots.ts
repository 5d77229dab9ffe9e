/** Only one piece of work of the whole process has nothing beside it at a time: else two would wait for each other's slots. */
let alone = Promise.resolve();

/** At most so many pieces of work at a time; the others wait their turn, first come first served. */
export class Slots {
  private readonly waiting: (() => void)[] = [];
  private free: number;

  constructor(private readonly count: number) {
    this.free = count;
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    await this.take();
    try {
      return await work();
    } finally {
      this.giveBack();
    }
  }

  /** With nothing else at the same time, and not at the same time as what is alone in another's slots. */
  async useAll<T>(work: () => Promise<T>): Promise<T> {
    const before = alone;
    const { promise, resolve: done } = Promise.withResolvers<void>();
    alone = promise;
    await before;
    const all = Array.from({ length: this.count });
    await Promise.all(all.map(() => this.take()));
    try {
      return await work();
    } finally {
      all.forEach(() => this.giveBack());
      done();
    }
  }

  private async take(): Promise<void> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((go) => this.waiting.push(go));
  }

  private giveBack(): void {
    // Handed on, not given back and fought for: whoever came first is next.
    const next = this.waiting.shift();
    if (next) next();
    else this.free++;
  }
}
