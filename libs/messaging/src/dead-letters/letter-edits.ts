import { type EntityManager } from 'typeorm';
import { type InboxLetter, type LetterBox, type OutboxLetter } from './dead-letter.js';
import { EditRefusedError } from './edit.js';
import { dataOf } from '../message/event-data.js';
import { hasTooManyFields, isTooDeep, MAX_DEPTH } from '../message/json-complexity.js';
import { MAX_PAYLOAD_BYTES } from '../message/limits.js';
import { type KafkaRecord, type Message } from '../message/message.js';
import { readMessage } from '../message/read-message.js';
import { type MessagingOptions } from '../messaging-options.js';
import { quoteIdentifier } from '../postgres/schema.js';

/** The parts of a parked message that an edit needs. */
interface ParkedRow extends Omit<KafkaRecord, 'timestamp'> {
  readonly recordedAt: Date;
  readonly holdsKey: boolean;
}

/** Replaces the payloads of dead letters that the transaction has locked, if inbox or outbox would accept the new ones. */
export class LetterEdits {
  private readonly schema: string;

  constructor(private readonly options: Pick<MessagingOptions, 'schema' | 'consumes' | 'publishes'>) {
    this.schema = quoteIdentifier(options.schema);
  }

  /**
   * Locks the key of a letter that does not hold it, because it may get its place in the key. Must precede the lock of the audit.
   * The key is that of `InboxStore.lockKey`.
   */
  async lockFreeKey(tx: EntityManager, box: LetterBox, id: string): Promise<void> {
    if (box === 'outbox') return;
    await tx.query(
      `select pg_advisory_xact_lock(hashtextextended($2 || '.' || p.consumer || ':' || encode(p.key, 'hex'), 0))
         from ${this.schema}.inbox_parked p where p.id = $1 and not p.holds_key and p.key is not null`,
      [id, this.schema],
    );
  }

  /** Returns the original payload. @throws EditRefusedError */
  async apply(tx: EntityManager, letter: InboxLetter | OutboxLetter, payload: string): Promise<Buffer | null> {
    checkPayload(payload);
    return letter.box === 'inbox' ? this.editInbox(tx, letter, payload) : this.editOutbox(tx, letter, payload);
  }

  private async editInbox(tx: EntityManager, letter: InboxLetter, payload: string): Promise<Buffer | null> {
    const [row]: ParkedRow[] = await tx.query(
      `select topic, partition, "offset", recorded_at as "recordedAt", key, headers, value, holds_key as "holdsKey"
         from ${this.schema}.inbox_parked where id = $1`,
      [letter.id],
    );
    if (!row) throw new Error(`Letter ${letter.id} is gone, although it was locked`);
    const message = this.readEdited(letter, { ...row, timestamp: row.recordedAt, value: Buffer.from(payload) });
    if (!row.holdsKey) await this.takePlace(tx, letter, message, row.key);
    await tx.query(
      `update ${this.schema}.inbox_parked set value = $2, message_id = $3, source = $4, type = $5, holds_key = true where id = $1`,
      [letter.id, Buffer.from(payload), message.id, message.source, message.type],
    );
    return row.value;
  }

  /** Reads the edited record as the consumer will. */
  private readEdited(letter: InboxLetter, record: KafkaRecord): Message {
    const consumer = this.options.consumes.find(
      ({ groupId, topic }) => groupId === letter.consumer && topic.name === record.topic,
    );
    if (!consumer)
      throw new EditRefusedError(
        `This service no longer consumes ${record.topic} as ${letter.consumer}, so nothing can validate it`,
      );
    const reading = readMessage(record, consumer.topic);
    if (!reading.readable) throw new EditRefusedError(`The message would still be unreadable: ${reading.reason}`);
    const { message } = reading;
    const known = { id: letter.messageId, source: letter.source, type: letter.type };
    for (const name of ['id', 'source', 'type'] as const)
      if (known[name] !== null && known[name] !== message[name])
        throw new EditRefusedError(`The ${name} of the message must stay ${known[name]}`);
    return message;
  }

  /**
   * Gives a message that could not be read its place in its key: it is recorded in the inbox, and the messages of the key that arrived
   * later wait for it. One that is being handled at this moment does not. Requires the key's lock.
   */
  private async takePlace(
    tx: EntityManager,
    { consumer, id }: InboxLetter,
    message: Message,
    key: Buffer | null,
  ): Promise<void> {
    const recorded: unknown[] = await tx.query(
      `insert into ${this.schema}.inbox (consumer, message_id, source) values ($1, $2, $3) on conflict do nothing returning 1`,
      [consumer, message.id, message.source],
    );
    if (recorded.length === 0)
      throw new EditRefusedError(`${consumer} has already received a copy of message ${message.id}. Discard this one`);
    // inbox_parked_arrival. Whoever handles the message before them makes them due again.
    await tx.query(
      `update ${this.schema}.inbox_parked set next_attempt_at = null
        where id in (select id from ${this.schema}.inbox_parked
                      where consumer = $1 and key = $2 and holds_key and id > $3
                        and dead_at is null and next_attempt_at is not null for update skip locked)`,
      [consumer, key, id],
    );
  }

  private async editOutbox(tx: EntityManager, letter: OutboxLetter, payload: string): Promise<Buffer | null> {
    const [row]: { payload: string; dataschema: string }[] = await tx.query(
      `select payload, dataschema from ${this.schema}.outbox_parked where position = $1`,
      [letter.id],
    );
    if (!row) throw new Error(`Letter ${letter.id} is gone, although it was locked`);
    const contract = this.options.publishes.find(({ aggregateType }) => aggregateType === letter.aggregateType);
    const eventClass =
      contract && Object.hasOwn(contract.events, letter.type) ? contract.events[letter.type] : undefined;
    if (!eventClass)
      throw new EditRefusedError(
        `This service no longer publishes ${letter.type} of ${letter.aggregateType}, so nothing can validate it`,
      );
    const { broken } = dataOf(JSON.parse(payload) as object, eventClass, row.dataschema);
    if (broken !== undefined) throw new EditRefusedError(`The data violates its contract: ${broken}`);
    await tx.query(`select ${this.schema}.outbox_edit($1, $2)`, [letter.id, payload]);
    return Buffer.from(row.payload);
  }
}

/** Validates what the outbox requires of every payload, which no inbox reads either. @throws EditRefusedError */
function checkPayload(payload: string): void {
  const bytes = Buffer.byteLength(payload);
  if (bytes > MAX_PAYLOAD_BYTES)
    throw new EditRefusedError(`The payload has ${bytes} bytes, more than ${MAX_PAYLOAD_BYTES}`);
  if (!payload.isWellFormed()) throw new EditRefusedError('The payload contains half of a surrogate pair');
  if (isTooDeep(payload)) throw new EditRefusedError(`The payload is nested deeper than ${MAX_DEPTH} levels`);
  const json = parsed(payload);
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new EditRefusedError('The payload is not a JSON object');
  if (hasTooManyFields(bytes, () => json)) throw new EditRefusedError('The payload has too many fields');
}

function parsed(payload: string): unknown {
  try {
    return JSON.parse(payload);
  } catch {
    return undefined;
  }
}
