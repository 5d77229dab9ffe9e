import { type InboxLetter, type OutboxLetter, type ParkedMessage } from '@twinbox/client/admin';

export type ServiceName = 'orders' | 'payments';

/** Why an order does not go on: a message of it that failed for good, or one that waits. */
export interface Blockage {
  readonly service: ServiceName;
  readonly state: 'dead' | 'parked';
  readonly box: 'inbox' | 'outbox';
  /** The type of the message. */
  readonly type: string | null;
  readonly error: string | null;
  readonly since: string;
}

export interface StuckOrder {
  readonly orderId: string;
  readonly blockages: readonly Blockage[];
  readonly since: string;
}

export interface Held {
  readonly service: ServiceName;
  readonly letters: readonly (InboxLetter | OutboxLetter)[];
  readonly parked: readonly ParkedMessage[];
}

/** Groups the messages that both services hold by their order, the longest stuck first. Messages without a key belong to no order. */
export function stuckOrders(held: readonly Held[]): readonly StuckOrder[] {
  const byOrder = new Map<string, Blockage[]>();
  for (const { service, letters, parked } of held) {
    for (const letter of letters) {
      const { box, key, type, error, diedAt } = letter;
      add(byOrder, key, { service, state: 'dead', box, type, error, since: diedAt });
    }
    for (const { box, key, type, error, since } of parked)
      add(byOrder, key, { service, state: 'parked', box, type, error, since });
  }
  return [...byOrder]
    .map(([orderId, blockages]) => ({ orderId, blockages: blockages.sort(deadFirst), since: earliest(blockages) }))
    .sort((one, other) => one.since.localeCompare(other.since));
}

function add(byOrder: Map<string, Blockage[]>, orderId: string | null, blockage: Blockage): void {
  if (orderId === null) return;
  byOrder.set(orderId, [...(byOrder.get(orderId) ?? []), blockage]);
}

function earliest(blockages: readonly Blockage[]): string {
  return blockages.map(({ since }) => since).sort()[0] ?? '';
}

/** A parked message usually waits for the dead one. */
function deadFirst(one: Blockage, other: Blockage): number {
  return one.state === other.state ? one.since.localeCompare(other.since) : one.state === 'dead' ? -1 : 1;
}
