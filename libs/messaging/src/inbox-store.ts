import { type EntityManager } from 'typeorm';
import { type KafkaRecord } from './message.js';
import { quoteIdentifier } from './schema.js';

/** The inbox's SQL. Every function runs in the caller's transaction. */
export class InboxStore {
  private readonly schema: string;

  constructor(
    schema: string,
    private readonly consumer: string,
  ) {
    this.schema = quoteIdentifier(schema);
  }

  /**
   * Records that the consumer handles the message; false when it already has. Two transactions with one message: the second
   * waits for the first to end, and is told `false` if that committed. A duplicate raises no error, so it breaks nothing.
   */
  async record(tx: EntityManager, messageId: string): Promise<boolean> {
    const recorded: unknown[] = await tx.query(
      `insert into ${this.schema}.inbox (consumer, message_id) values ($1, $2) on conflict do nothing returning 1`,
      [this.consumer, messageId],
    );
    return recorded.length > 0;
  }

  /** Keeps the record whole, as it came, with the reason why it cannot be handled. Repeating it changes nothing. */
  async keepDead(
    tx: EntityManager,
    record: KafkaRecord,
    known: { id?: string; type?: string },
    error: string,
  ): Promise<void> {
    await tx.query(
      `insert into ${this.schema}.inbox_dead_letters
         (consumer, topic, partition, "offset", message_id, type, key, headers, value, error)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
       on conflict do nothing`,
      [
        this.consumer,
        record.topic,
        record.partition,
        record.offset,
        known.id ?? null,
        known.type ?? null,
        record.key,
        JSON.stringify(storableHeaders(record.headers)),
        record.value,
        storable(error),
      ],
    );
  }
}

function storableHeaders(headers: KafkaRecord['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [storable(name), storable(value)]));
}

/** PostgreSQL's text holds no zero byte. */
function storable(text: string): string {
  return text.replaceAll('\0', '');
}
