import { type DataSource, type EntityManager } from 'typeorm';

export type LetterBox = 'outbox' | 'inbox';

/** A message that Kafka rejected because of the message itself. */
export interface OutboxLetter {
  readonly box: 'outbox';
  /** The id of the letter: the message's position in the log. */
  readonly id: string;
  /** `ce_id`. */
  readonly messageId: string;
  readonly type: string;
  /** The aggregate's id. */
  readonly key: string;
  readonly aggregateType: string;
  /** The version of the aggregate that raised the event. */
  readonly sequence: string;
  readonly error: string;
  readonly diedAt: Date;
}

/** A message that a consumer could not read or handle. Fields that could not be read are null. */
export interface InboxLetter {
  readonly box: 'inbox';
  /** The id of the letter: a number assigned by the inbox. */
  readonly id: string;
  /** `ce_id`. */
  readonly messageId: string | null;
  /** `ce_source`. */
  readonly source: string | null;
  readonly type: string | null;
  /** As text, with U+FFFD for invalid UTF-8. At most the first 1,020 bytes, enough for every readable key. */
  readonly key: string | null;
  /** The consumer group. */
  readonly consumer: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** Failed attempts that counted; 0 if the message could not be read. */
  readonly attempts: number;
  readonly error: string;
  readonly diedAt: Date;
}

export type DeadLetter = OutboxLetter | InboxLetter;

/** A dead letter with all its details. */
export type WholeLetter = WholeOutboxLetter | WholeInboxLetter;

export interface WholeOutboxLetter extends OutboxLetter {
  readonly dataschema: string;
  readonly payload: string;
  readonly createdAt: Date;
  /** The number of messages of its key that are parked behind it, not counting dead letters. */
  readonly waiting: number;
}

export interface WholeInboxLetter extends InboxLetter {
  readonly headers: Readonly<Record<string, string>>;
  /** The record's key and value, unchanged. */
  readonly rawKey: Buffer | null;
  readonly value: Buffer | null;
  /** The record's timestamp. */
  readonly recordedAt: Date;
  readonly parkedAt: Date;
  /** The number of messages of its key that are parked behind it, not counting dead letters; 0 if it holds no key. */
  readonly waiting: number;
}

/** Selects the letters that match all given fields. */
export interface LetterFilter {
  readonly box: LetterBox;
  /** Ids of letters. */
  readonly ids?: readonly string[] | undefined;
  /** Inbox only: the consumer group. */
  readonly consumer?: string | undefined;
  /** Outbox only. */
  readonly aggregateType?: string | undefined;
  readonly type?: string | undefined;
  /** The message's key: the aggregate's id. */
  readonly key?: string | undefined;
  /** At this time or later. */
  readonly diedAfter?: Date | undefined;
  /** Earlier than this. */
  readonly diedBefore?: Date | undefined;
}

/** A letter's position in the list: when it died, in microseconds since the epoch, and its id as the tiebreaker. */
export interface LetterPlace {
  readonly diedAtMicros: string;
  readonly id: string;
}

/** Letters to change in one transaction. */
export interface Chunk {
  readonly ids: readonly string[];
  /** The sort key after which the next chunk begins. */
  readonly after: LetterCursor;
}

export type LetterCursor = readonly (string | number)[];

/** The SQL of a box. Dead letters are selected, locked and changed by the same steps in both boxes. */
export interface LetterStore {
  list(
    db: DataSource,
    filter: LetterFilter,
    page: { limit: number; oldestFirst: boolean; after?: LetterPlace | undefined },
  ): Promise<(DeadLetter & LetterPlace)[]>;
  find(db: DataSource, id: string): Promise<WholeLetter | undefined>;
  /**
   * Returns the next letters that died no later than `untilMicros`, in order within each key. Undefined when there are no more.
   */
  next(
    db: DataSource,
    filter: LetterFilter,
    untilMicros: string,
    after: LetterCursor | undefined,
  ): Promise<Chunk | undefined>;
  /** Locks the parked messages of the letters' keys. Must precede `take`, which has to see earlier changes to them. */
  lockKeys(tx: EntityManager, ids: readonly string[]): Promise<void>;
  /** Locks and returns the letters that still match, until the transaction ends. */
  take(tx: EntityManager, filter: LetterFilter, ids: readonly string[]): Promise<DeadLetter[]>;
  retry(tx: EntityManager, ids: readonly string[]): Promise<void>;
  discard(tx: EntityManager, ids: readonly string[]): Promise<void>;
}

/** Letters per transaction. Each of their keys takes a lock, and a server has only some thousands for all its sessions. */
export const CHUNK = 200;

/** A timestamp in microseconds. A Date could not distinguish two letters of the same millisecond. */
export const microsOf = (timestamp: string): string => `(extract(epoch from ${timestamp}) * 1000000)::bigint`;
export const timeOf = (parameter: string): string =>
  `timestamptz 'epoch' + ${parameter}::bigint * interval '1 microsecond'`;

/** Returns the condition for {@link filterValues}. The planner knows the parameters, so it drops the filters not given. */
export function matches(columns: { id: string; owner: string; key: string; keyType: string }): string {
  return `p.dead_at is not null
      and ($1::bigint[] is null or ${columns.id} = any($1))
      and ($2::text is null or ${columns.owner} = $2)
      and ($3::text is null or p.type = $3)
      and ($4::${columns.keyType} is null or ${columns.key} = $4)
      and ($5::timestamptz is null or p.dead_at >= $5)
      and ($6::timestamptz is null or p.dead_at < $6)`;
}

/** Returns the first six parameters of a statement that selects letters. */
export function filterValues(
  { consumer, aggregateType, type, diedAfter, diedBefore }: LetterFilter,
  ids: readonly string[] | undefined,
  key: string | Buffer | undefined,
): unknown[] {
  return [ids, consumer ?? aggregateType, type, key, diedAfter, diedBefore].map((value) => value ?? null);
}
