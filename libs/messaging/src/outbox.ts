import { Inject, Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { CommitWakeUp } from './commit-wake-up.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from './messaging-options.js';
import { quoteIdentifier } from './schema.js';
import { dataSchema } from './topic.js';

/**
 * The largest event data in bytes of JSON. One batch of Kafka records must stay below the broker's `max.message.bytes`
 * (1 MiB by default); a larger event is refused here, where its writer still learns of it.
 */
export const MAX_PAYLOAD_BYTES = 512 * 1024;

/** The aggregate that raises events. Its id is the Kafka key; `version` is its version after the last of the events. */
export interface AggregateRef {
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly version: number;
}

/** An event as a rule returns it: its type's name and its data. */
export interface OutboxEvent {
  readonly type: string;
  readonly data: object;
}

/**
 * What a service says. Messages are added in the caller's transaction, so they are published if and only if it commits
 * (P1), in the order in which they were added.
 */
@Injectable()
export class Outbox {
  private readonly insert: string;

  constructor(
    @Inject(MESSAGING_OPTIONS) private readonly options: MessagingOptions,
    private readonly wakeUp: CommitWakeUp,
  ) {
    this.insert = `/* prepared */
      insert into ${quoteIdentifier(options.schema)}.outbox
        (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
      select e.id, $1, $2, e.type, e.dataschema, e.sequence, e.payload
        from unnest($3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[])
          with ordinality as e (id, type, dataschema, sequence, payload, n)
       order by e.n`;
  }

  /**
   * Adds the events of one aggregate, in order, in one statement. The caller has locked or version-checked the aggregate's
   * row in `tx`: that is what makes insertion order commit order within the aggregate (P3).
   *
   * Gives the messages' ids, in the order of the events. Throws when `tx` is not in a transaction, when no topic is declared for
   * the aggregate type or event type, and when an event is larger than {@link MAX_PAYLOAD_BYTES}.
   */
  async add(tx: EntityManager, aggregate: AggregateRef, events: readonly OutboxEvent[]): Promise<string[]> {
    if (!tx.queryRunner?.isTransactionActive)
      throw new Error('Outbox.add must be called with the manager of an open transaction');
    if (events.length === 0) return [];

    const contract = this.options.publishes.find(({ aggregateType }) => aggregateType === aggregate.aggregateType);
    if (!contract) throw new Error(`No topic is declared for aggregate type ${aggregate.aggregateType}`);
    const rows = events.map(({ type, data }, index) => {
      const eventClass = Object.hasOwn(contract.events, type) ? contract.events[type] : undefined;
      if (!eventClass) throw new Error(`The contract of ${contract.name} does not name the event type ${type}`);
      const payload = JSON.stringify(data);
      const bytes = Buffer.byteLength(payload);
      if (bytes > MAX_PAYLOAD_BYTES)
        throw new Error(`${type} of ${aggregate.aggregateId} has ${bytes} bytes, more than ${MAX_PAYLOAD_BYTES}`);
      const sequence = aggregate.version - events.length + 1 + index;
      return { id: uuidv7(), type, dataschema: dataSchema(type, eventClass), sequence, payload };
    });

    const ids = rows.map((row) => row.id);
    await tx.query(this.insert, [
      aggregate.aggregateType,
      aggregate.aggregateId,
      ids,
      rows.map((row) => row.type),
      rows.map((row) => row.dataschema),
      rows.map((row) => row.sequence),
      rows.map((row) => row.payload),
    ]);
    this.wakeUp.onCommitOf(tx.queryRunner);
    return ids;
  }
}
