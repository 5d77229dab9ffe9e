/** A step of an order, whose position no other step has. */
export interface Positioned {
  readonly orderId: string;
  readonly position: number;
}

/** Twice as many as the steps that a service sends again after a reconnect by default. With a `STREAM_BACKLOG` above it, one may repeat. */
const MOST = 20_000;

/** Remembers the last step of each order. The steps of an order arrive in order, so one that is not later was received before. */
export class SeenPositions {
  /** From the least recent to the most recent. */
  private readonly lastOf = new Map<string, number>();

  /** Returns whether the step is new. */
  add({ orderId, position }: Positioned): boolean {
    const last = this.lastOf.get(orderId);
    if (last !== undefined && position <= last) return false;
    this.lastOf.delete(orderId);
    this.lastOf.set(orderId, position);
    if (this.lastOf.size > MOST) for (const oldest of this.lastOf.keys()) return this.lastOf.delete(oldest);
    return true;
  }

  clear(): void {
    this.lastOf.clear();
  }
}
