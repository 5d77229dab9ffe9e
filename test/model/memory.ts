import { type Outbox } from '@twinbox/messaging';
import { type OrderStore } from '../../apps/order-service/src/application/order-store.js';

/** The transaction that a use case receives; it is only passed on here. */
export type Transaction = Parameters<OrderStore['lock']>[0];

type Table = ReadonlyMap<string, unknown> | ReadonlySet<string> | readonly unknown[];

/**
 * The in-memory database of a service, with all-or-nothing transactions. They run one at a time, as if the database had ordered them, so
 * nothing waits for a lock.
 */
export class Database<Tables extends { [name in keyof Tables]: Table }> {
  isOpen = false;

  constructor(readonly tables: Tables) {}

  /** Rolls back when `work` throws or its result is not to be kept. */
  async transaction<T>(work: (tx: Transaction) => Promise<T>, isKept: (result: T) => boolean = () => true): Promise<T> {
    if (this.isOpen) throw new Error('A transaction was started while another was open');
    const before = Object.entries<Table>(this.tables).map(([name, table]) => [name, copyOf(table)]);
    let keep = false;
    this.isOpen = true;
    try {
      const result = await work({} as Transaction);
      keep = isKept(result);
      return result;
    } finally {
      this.isOpen = false;
      if (!keep) Object.assign(this.tables, Object.fromEntries(before));
    }
  }

  /** Runs a request like the HTTP edge, which rolls back a rejection. */
  async request<D extends { readonly accepted: boolean }>(work: (tx: Transaction) => Promise<D>): Promise<D> {
    return this.transaction(work, ({ accepted }) => accepted);
  }
}

function copyOf(table: Table): Table {
  if (table instanceof Map) return new Map(table);
  return table instanceof Set ? new Set(table) : [...(table as readonly unknown[])];
}

export type Topic = 'order.events' | 'payment.events';

export interface Message {
  readonly id: string;
  readonly topic: Topic;
  readonly orderId: string;
  readonly type: string;
  readonly data: object;
  readonly sequence: number;
  /** The id of the message whose content this one repeats. */
  readonly repeats?: string;
  /** Contradicts what its service published, as after a loss of its database. */
  readonly isFabricated?: boolean;
}

/** An outbox whose messages are on their topic as soon as they are committed, as with a relay that is always running. */
export function outboxTo(topic: Topic, published: { messages: Message[] }): Outbox {
  let count = 0;
  const add: Outbox['add'] = async (_, { aggregateId: orderId, version }, events) =>
    events.map(({ id = `${topic} ${++count}`, type, data }, index) => {
      const sequence = version - events.length + 1 + index;
      // Copied through JSON, so that the sender cannot change what the receiver reads.
      const read = JSON.parse(JSON.stringify(data)) as object;
      published.messages.push({ id, topic, orderId, type, data: read, sequence });
      return id;
    });
  return { add } as Outbox;
}
