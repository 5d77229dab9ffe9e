import { Inject, Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { BatchedStatement } from './batched-statement.js';
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
  /** The message's id, a UUID; a new UUIDv7 unless given, for who writes it down beside the message. */
  readonly id?: string;
  readonly type: string;
  readonly data: object;
}

interface Row {
  readonly id: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly type: string;
  readonly dataschema: string;
  readonly sequence: number;
  readonly payload: string;
}

/**
 * What a service says. Messages are added in the caller's transaction, so they are published if and only if it commits
 * (P1), in the order in which they were added.
 */
@Injectable()
export class Outbox {
  private readonly insert: BatchedStatement<readonly Row[], undefined>;

  constructor(
    @Inject(MESSAGING_OPTIONS) private readonly options: MessagingOptions,
    private readonly wakeUp: CommitWakeUp,
  ) {
    const insert = `/* prepared */
      insert into ${quoteIdentifier(options.schema)}.outbox
        (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
      select e.id, e.aggregatetype, e.aggregateid, e.type, e.dataschema, e.sequence, e.payload
        from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[])
          with ordinality as e (id, aggregatetype, aggregateid, type, dataschema, sequence, payload, n)
       order by e.n`;
    this.insert = new BatchedStatement(async (tx, added) => {
      const rows = added.flat();
      await tx.query(insert, [
        rows.map((row) => row.id),
        rows.map((row) => row.aggregateType),
        rows.map((row) => row.aggregateId),
        rows.map((row) => row.type),
        rows.map((row) => row.dataschema),
        rows.map((row) => row.sequence),
        rows.map((row) => row.payload),
      ]);
      return added.map(() => undefined);
    });
  }

  /**
   * Adds the events of one aggregate, in order. The caller has locked or version-checked the aggregate's row in `tx`: that is
   * what makes insertion order commit order within the aggregate (P3). One statement, for all that are added to `tx` at the
   * same time.
   *
   * Gives the messages' ids, in the order of the events. Throws when `tx` is not in a transaction, when no topic is declared for
   * the aggregate type or event type, and when an event is larger than {@link MAX_PAYLOAD_BYTES}.
   */
  async add(tx: EntityManager, aggregate: AggregateRef, events: readonly OutboxEvent[]): Promise<string[]> {
    if (!tx.queryRunner?.isTransactionActive)
      throw new Error('Outbox.add must be called with the manager of an open transaction');
    if (events.length === 0) return [];

    const rows = this.rowsOf(aggregate, events);
    await this.insert.run(tx, rows);
    this.wakeUp.onCommitOf(tx.queryRunner);
    return rows.map(({ id }) => id);
  }

  private rowsOf({ aggregateType, aggregateId, version }: AggregateRef, events: readonly OutboxEvent[]): Row[] {
    const contract = this.options.publishes.find((topic) => topic.aggregateType === aggregateType);
    if (!contract) throw new Error(`No topic is declared for aggregate type ${aggregateType}`);
    return events.map(({ id = uuidv7(), type, data }, index) => {
      const eventClass = Object.hasOwn(contract.events, type) ? contract.events[type] : undefined;
      if (!eventClass) throw new Error(`The contract of ${contract.name} does not name the event type ${type}`);
      const payload = JSON.stringify(data);
      const bytes = Buffer.byteLength(payload);
      if (bytes > MAX_PAYLOAD_BYTES)
        throw new Error(`${type} of ${aggregateId} has ${bytes} bytes, more than ${MAX_PAYLOAD_BYTES}`);
      const sequence = version - events.length + 1 + index;
      return {
        id,
        aggregateType,
        aggregateId,
        type,
        dataschema: dataSchema(type, eventClass),
        sequence,
        payload,
      };
    });
  }
}
