export interface Notification {
  readonly type: 'OrderCompleted' | 'OrderCancelled' | 'OrderFinished';
  readonly orderId: string;
  readonly customerId: string;
  /** Set for a cancelled order. */
  readonly reason: string | null;
}

export abstract class Notifier {
  /**
   * May be called again for a notification that was already sent. The `key` stays the same, so that the recipient can drop duplicates.
   * Throws `PermanentError` if it can never be delivered, and any other error if a retry may succeed. Gives up when `signal` aborts.
   */
  abstract notify(notification: Notification, key: string, signal: AbortSignal): Promise<void>;
}
