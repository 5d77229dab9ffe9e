import { validate as isUuid } from 'uuid';

const TYPES = ['OrderCompleted', 'OrderCancelled', 'OrderFinished'] as const;

export interface Notification {
  readonly type: (typeof TYPES)[number];
  readonly orderId: string;
  readonly customerId: string;
  /** Set for a cancelled order. */
  readonly reason: string | null;
}

/** Returns why an operator's edit of a notification is refused. The customer's address may be corrected; the event stays. */
export function notificationFlaw(edited: unknown, original: unknown): string | undefined {
  const [after, before] = [edited, original] as Readonly<Record<string, unknown> | null>[];
  const changed = ['type', 'orderId'].find((name) => before?.[name] !== undefined && before[name] !== after?.[name]);
  if (changed !== undefined) return `${changed} must stay as it is`;
  const { type, orderId, customerId, reason } = after ?? {};
  if (!TYPES.some((known) => known === type)) return `type must be one of ${TYPES.join(', ')}`;
  if (typeof orderId !== 'string' || !isUuid(orderId)) return 'orderId must be a UUID';
  if (typeof customerId !== 'string' || customerId === '') return 'customerId must be text';
  return reason === null || typeof reason === 'string' ? undefined : 'reason must be text or null';
}

export abstract class Notifier {
  /**
   * May be called again for a notification that was already sent. The `key` stays the same, so that the recipient can drop duplicates.
   * Throws `PermanentError` if it can never be delivered, and any other error if a retry may succeed. Gives up when `signal` aborts.
   */
  abstract notify(notification: Notification, key: string, signal: AbortSignal): Promise<void>;
}
