/** At most one exclusive task per process, because two of them would deadlock over each other's slots. */
let alone = Promise.resolve();

/**
 * Limits the number of concurrent tasks. The others wait, first come, first served. Background and foreground tasks alternate,
 * so no amount of waiting background work delays a foreground task by more than one task.
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

  /** Runs the work exclusively: alone in these slots, and never concurrently with an exclusive task of other slots. */
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
    // The slot is handed directly to the task that has waited longest, so no newcomer can take it.
    const { foreground, background } = this.waiting;
    this.lastWasBackground = foreground.length === 0 || (background.length > 0 && !this.lastWasBackground);
    const next = (this.lastWasBackground ? background : foreground).shift();
    if (next) next();
    else this.free++;
  }
}
