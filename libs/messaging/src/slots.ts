/** Only one piece of work of the whole process has nothing beside it at a time: else two would wait for each other's slots. */
let alone = Promise.resolve();

/**
 * At most so many pieces of work at a time; the others wait their turn, first come first served. Work of the background takes
 * turns with the other: however much of it waits, it delays nothing else by more than one piece.
 */
export class Slots {
  private readonly waiting = { foreground: [] as (() => void)[], background: [] as (() => void)[] };
  private lastWasBackground = false;
  private free: number;

  constructor(private readonly count: number) {
    this.free = count;
  }

  async use<T>(work: () => Promise<T>, kind: 'foreground' | 'background' = 'foreground'): Promise<T> {
    await this.take(kind);
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
    await Promise.all(all.map(() => this.take('foreground')));
    try {
      return await work();
    } finally {
      all.forEach(() => this.giveBack());
      done();
    }
  }

  private async take(kind: 'foreground' | 'background'): Promise<void> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((go) => this.waiting[kind].push(go));
  }

  private giveBack(): void {
    // Handed on, not given back and fought for: whoever came first is next.
    const { foreground, background } = this.waiting;
    this.lastWasBackground = foreground.length === 0 || (background.length > 0 && !this.lastWasBackground);
    const next = (this.lastWasBackground ? background : foreground).shift();
    if (next) next();
    else this.free++;
  }
}
