import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { BatchedStatement } from '../postgres/batched-statement.js';
import { isTooLong, isUuid, textFlaw } from '../message/column-text.js';
import { type AfterCommit } from '../postgres/after-commit.js';
import { PermanentError } from '../errors.js';
import { isTooDeep, hasTooManyFields, losesNumbers, MAX_DEPTH } from '../message/json-complexity.js';
import { MAX_PAYLOAD_BYTES } from '../message/limits.js';
import { attributeFlaw } from '../message/identity.js';
import { type MessagingOptions } from '../messaging-options.js';
import { prepared } from '../postgres/prepared.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { dataSchema, type TopicContract } from '../message/topic.js';
import { KAFKA } from '../tracing/attributes.js';
import { traceCreations } from '../tracing/creations.js';
import { type TraceContext } from '../tracing/trace-context.js';

/** The aggregate that raises events. Its id is the Kafka key, and `version` is its version after the last of the events. */
export interface AggregateRef {
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly version: number;
}

/** An event as a rule returns it, with the name of its type and its data. */
export interface OutboxEvent {
  /** The message's id, a UUID. By default a new UUIDv7; pass one to store it elsewhere too. */
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

interface TracedRow extends Row {
  readonly trace?: TraceContext | undefined;
}

/**
 * The service's outgoing messages. Messages are added in the caller's transaction, so they are published if and only if it
 * commits (P1), in the order in which they were added.
 *
 * @hideconstructor
 */
export class Outbox {
  private readonly insert: BatchedStatement<readonly TracedRow[], undefined>;

  /** `wakeRelay` is called after each commit that added messages. It must return at once and not throw. */
  constructor(
    private readonly options: MessagingOptions,
    private readonly afterCommit: AfterCommit,
    private readonly wakeRelay: () => void,
  ) {
    checkNames(options);
    const insert = insertInto(options.schema);
    const insertTraced = insertInto(options.schema, { traceparent: '$8::text[]', tracestate: '$9::text[]' });
    this.insert = new BatchedStatement(async (tx, added) => {
      const rows = added.flat();
      const traced = rows.some(({ trace }) => trace !== undefined);
      await tx.query(traced ? insertTraced : insert, [
        rows.map((row) => row.id),
        rows.map((row) => row.aggregateType),
        rows.map((row) => row.aggregateId),
        rows.map((row) => row.type),
        rows.map((row) => row.dataschema),
        rows.map((row) => row.sequence),
        rows.map((row) => row.payload),
        ...(traced ? [rows.map(({ trace }) => trace?.traceparent), rows.map(({ trace }) => trace?.tracestate)] : []),
      ]);
      return added.map(() => undefined);
    });
  }

  /**
   * Adds the events of one aggregate in order. The caller must have locked or version-checked the aggregate's row in `tx`, because
   * that makes the insertion order the commit order within the aggregate (P3). A new aggregate, which nobody else knows yet, needs no
   * lock. Concurrent calls with the same `tx` share one
   * statement.
   *
   * Returns the messages' ids in the order of the events. Throws if `tx` is not in a transaction, or no topic is declared for the
   * aggregate type or event type. Throws a PermanentError for anything that no inbox would accept: an aggregate id that is empty,
   * contains a zero byte or half of a surrogate pair, or has more than 255 characters; an id that is not a UUID; a version that is
   * not a safe integer; data whose JSON is not an object, is larger than {@link MAX_PAYLOAD_BYTES}, is nested too deeply or has too
   * many fields; and data with NaN or infinite numbers.
   */
  async add(tx: EntityManager, aggregate: AggregateRef, events: readonly OutboxEvent[]): Promise<string[]> {
    if (!tx.queryRunner?.isTransactionActive)
      throw new Error('Outbox.add must be called with the manager of an open transaction');
    if (events.length === 0) return [];

    const contract = this.contractOf(aggregate);
    const rows = rowsOf(contract, aggregate, events);
    await traceCreations({ system: KAFKA, name: contract.name }, rows, async (traced) => this.insert.run(tx, traced));
    this.afterCommit.run(tx.queryRunner, this.wakeRelay);
    return rows.map(({ id }) => id);
  }

  private contractOf({ aggregateType }: AggregateRef): TopicContract {
    const contract = this.options.publishes.find((topic) => topic.aggregateType === aggregateType);
    if (!contract) throw new Error(`No topic is declared for aggregate type ${aggregateType}`);
    return contract;
  }
}

function rowsOf(
  contract: TopicContract,
  { aggregateType, aggregateId, version }: AggregateRef,
  events: readonly OutboxEvent[],
): Row[] {
  const flaw = textFlaw(aggregateId);
  if (flaw !== undefined) throw new PermanentError(`The aggregate id of a ${aggregateType} ${flaw}`);
  return events.map(({ id = uuidv7(), type, data }, index) => {
    const eventClass = Object.hasOwn(contract.events, type) ? contract.events[type] : undefined;
    if (!eventClass) throw new Error(`The contract of ${contract.name} does not define the event type ${type}`);
    const name = `${type} of ${aggregateId}`;
    const sequence = version - events.length + 1 + index;
    if (!Number.isSafeInteger(version) || !Number.isSafeInteger(sequence))
      throw new PermanentError(`The version of ${name} is not a safe integer`);
    return {
      id: messageId(id, name),
      aggregateType,
      aggregateId,
      type,
      dataschema: dataSchema(type, eventClass),
      sequence,
      payload: payloadOf(data, name),
    };
  });
}

/** Returns the statement that adds messages. `more` has further columns, each with the parameter for its values. */
function insertInto(schema: string, more: Readonly<Record<string, string>> = {}): string {
  const columns = [
    'id',
    'aggregatetype',
    'aggregateid',
    'type',
    'dataschema',
    'sequence',
    'payload',
    ...Object.keys(more),
  ];
  const values = ['$1::uuid[]', '$2::text[]', '$3::text[]', '$4::text[]', '$5::text[]', '$6::bigint[]', '$7::text[]'];
  return prepared(`insert into ${quoteIdentifier(schema)}.outbox (${columns.join(', ')})
      select ${columns.map((column) => `e.${column}`).join(', ')}
        from unnest(${[...values, ...Object.values(more)].join(', ')}) with ordinality as e (${columns.join(', ')}, n)
       order by e.n`);
}

/** Throws at start-up if a name is one that no inbox would accept. */
function checkNames({ publishes, service }: MessagingOptions): void {
  const source = attributeFlaw(`/${service}`);
  if (source !== undefined) throw new Error(`The name of the service ${source}`);
  for (const { name, aggregateType, events } of publishes) {
    const flaw = textFlaw(aggregateType);
    if (flaw !== undefined) throw new Error(`The aggregate type of ${name} ${flaw}`);
    for (const [type, eventClass] of Object.entries(events)) {
      const wrong = type === '' ? 'is empty' : attributeFlaw(type);
      if (wrong !== undefined) throw new Error(`An event type in the contract of ${name} ${wrong}: ${type}`);
      if (isTooLong(dataSchema(type, eventClass)))
        throw new Error(`An event type in the contract of ${name} is too long: ${type}`);
    }
  }
}

/** Normalises the id to the form in which the table returns it. */
function messageId(id: string, name: string): string {
  if (!isUuid(id)) throw new PermanentError(`The id of ${name} is not a UUID`);
  return id.toLowerCase();
}

/** Serialises the data. @throws PermanentError, which never contains the data */
function payloadOf(data: object, name: string): string {
  // Undefined if the data, or the result of its toJSON, is undefined.
  const payload = JSON.stringify(data) as string | undefined;
  if (!payload?.startsWith('{')) throw new PermanentError(`The data of ${name} is not a JSON object`);
  const bytes = Buffer.byteLength(payload);
  if (bytes > MAX_PAYLOAD_BYTES) throw new PermanentError(`${name} has ${bytes} bytes, more than ${MAX_PAYLOAD_BYTES}`);
  if (losesNumbers(data, payload)) throw new PermanentError(`The data of ${name} has a number that is NaN or infinite`);
  if (isTooDeep(payload)) throw new PermanentError(`The data of ${name} is nested deeper than ${MAX_DEPTH} levels`);
  if (hasTooManyFields(bytes, () => JSON.parse(payload) as object))
    throw new PermanentError(`The data of ${name} has too many fields`);
  return payload;
}
