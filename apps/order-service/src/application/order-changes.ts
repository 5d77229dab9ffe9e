export abstract class OrderChanges {
  /** Called after each commit of a transaction that wrote steps. Must not throw. */
  abstract committed(): void;
}
