/** Limits how much of something each user has at a time. */
export class Allowance {
  private readonly taken = new Map<string, number>();

  constructor(readonly most: number) {}

  /** Returns undefined if the user would have more than allowed. The function it returns gives the amount back, once. */
  take(userId: string, amount: number): (() => void) | undefined {
    const taken = this.taken.get(userId) ?? 0;
    if (taken + amount > this.most) return undefined;
    this.set(userId, taken + amount);
    let returned = false;
    return () => {
      if (returned) return;
      returned = true;
      this.set(userId, (this.taken.get(userId) ?? 0) - amount);
    };
  }

  private set(userId: string, amount: number): void {
    if (amount > 0) this.taken.set(userId, amount);
    else this.taken.delete(userId);
  }
}
