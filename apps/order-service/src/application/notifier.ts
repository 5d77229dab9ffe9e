/** What a customer is told. */
export interface Notification {
  readonly type: 'OrderCompleted' | 'OrderCancelled' | 'OrderFinished';
  readonly orderId: string;
  readonly customerId: string;
  /** Why, where the order was cancelled. */
  readonly reason: string | null;
}

/** Tells customers what became of their orders. */
export abstract class Notifier {
  /**
   * May be called again for what it has told already, with the same `key`: a receiver that knows the key drops it.
   * Throws `PermanentError` when it can never be told, and anything else when it may work later; gives up when `signal` aborts.
   */
  abstract notify(notification: Notification, key: string, signal: AbortSignal): Promise<void>;
}
