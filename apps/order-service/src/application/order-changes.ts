/** Whoever shows orders live. */
export abstract class OrderChanges {
  /** Called after a transaction that wrote steps of orders has committed: there is something new to be read. Must not throw. */
  abstract committed(): void;
}
