import { type Outbox } from '@twinbox/messaging';
import { type OrderStore } from '../../apps/order-service/src/application/order-store.js';

/** The transaction that a use case is given: here it is only passed on. */
export type Transaction = Parameters<OrderStore['lock']>[0];

type Table = ReadonlyMap<string, unknown> | ReadonlySet<string> | readonly unknown[];

/**
 * A service's database: its tables, and transactions that change all or nothing. There is one at a time, as if the database had
 * put them in an order, so that nobody waits for a lock.
 */
export class Database<Tables extends { [name in keyof Tables]: Table }> {
  isOpen = false;

  constructor(readonly tables: Tables) {}

  /** What throws changes nothing, nor does what comes to a result that is not to be kept. */
  async transaction<T>(work: (tx: Transaction) => Promise<T>, isKept: (result: T) => boolean = () => true): Promise<T> {
    if (this.isOpen) throw new Error('A transaction was begun while another was open');
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

  /** The edge of a request: what is rejected is rolled back. */
  async request<D extends { readonly accepted: boolean }>(work: (tx: Transaction) => Promise<D>): Promise<D> {
    return this.transaction(work, ({ accepted }) => accepted);
  }
}

function copyOf(table: Table): Table {
  if (table instanceof Map) return new Map(table);
  return table instanceof Set ? new Set(table) : [...(table as readonly unknown[])];
}

export type Topic = 'order.events' | 'payment.events';

/** A message on its topic. */
export interface Message {
  readonly id: string;
  readonly topic: Topic;
  /** The key. */
  readonly orderId: string;
  readonly type: string;
  readonly data: object;
  readonly sequence: number;
  /** Of a message that says once more what another has said: the other one's id. */
  readonly repeats?: string;
  /** It says what its service never meant, as after its database was lost. */
  readonly isUntrue?: boolean;
}

/** The outbox, and a relay that is always there: what is added is on its topic as soon as it is committed. */
export function outboxTo(topic: Topic, published: { messages: Message[] }): Outbox {
  let count = 0;
  const add: Outbox['add'] = async (_, { aggregateId: orderId, version }, events) =>
    events.map(({ id = `${topic} ${++count}`, type, data }, index) => {
      const sequence = version - events.length + 1 + index;
      // A copy as JSON has it: what the receiver reads is nothing that the sender could still change.
      const read = JSON.parse(JSON.stringify(data)) as object;
      published.messages.push({ id, topic, orderId, type, data: read, sequence });
      return id;
    });
  return { add } as Outbox;
}
