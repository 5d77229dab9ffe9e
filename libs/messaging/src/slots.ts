/** At most so many pieces of work at a time; the others wait their turn, first come first served. */
export class Slots {
  private readonly waiting: (() => void)[] = [];

  constructor(private free: number) {}

  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((go) => this.waiting.push(go));
    try {
      return await work();
    } finally {
      // Handed on, not given back and fought for: whoever came first is next.
      const next = this.waiting.shift();
      if (next) next();
      else this.free++;
    }
  }
}
