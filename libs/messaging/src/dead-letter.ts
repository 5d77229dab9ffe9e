import { type DataSource, type EntityManager } from 'typeorm';

export type LetterBox = 'outbox' | 'inbox';

/** A message that Kafka refused for itself. */
export interface OutboxLetter {
  readonly box: 'outbox';
  /** Of the letter: the message's position in the log. */
  readonly id: string;
  /** `ce_id`. */
  readonly messageId: string;
  readonly type: string;
  /** The aggregate's id. */
  readonly key: string;
  readonly aggregateType: string;
  /** The version of the aggregate that raised it. */
  readonly sequence: string;
  readonly error: string;
  readonly diedAt: Date;
}

/** A message that a consumer could not read, or not handle. What could not be read of it is null. */
export interface InboxLetter {
  readonly box: 'inbox';
  /** Of the letter: a number of the inbox's own. */
  readonly id: string;
  /** `ce_id`. */
  readonly messageId: string | null;
  /** `ce_source`. */
  readonly source: string | null;
  readonly type: string | null;
  /** As text; invalid UTF-8 is shown as U+FFFD. At most the first 1,020 bytes, which is every readable key. */
  readonly key: string | null;
  /** The consumer's group. */
  readonly consumer: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** Failures of its handler that counted: 0 for one that could not be read. */
  readonly attempts: number;
  readonly error: string;
  readonly diedAt: Date;
}

export type DeadLetter = OutboxLetter | InboxLetter;

/** A letter with everything that is known of it. */
export type WholeLetter = WholeOutboxLetter | WholeInboxLetter;

export interface WholeOutboxLetter extends OutboxLetter {
  readonly dataschema: string;
  readonly payload: string;
  readonly createdAt: Date;
  /** How many messages of its key are parked behind it, dead ones not counted. */
  readonly waiting: number;
}

export interface WholeInboxLetter extends InboxLetter {
  readonly headers: Readonly<Record<string, string>>;
  /** The record's key and value as they came. */
  readonly rawKey: Buffer | null;
  readonly value: Buffer | null;
  /** The record's timestamp. */
  readonly recordedAt: Date;
  readonly parkedAt: Date;
  /** How many messages of its key are parked behind it, dead ones not counted; 0 for one that holds no key. */
  readonly waiting: number;
}

/** Which letters are meant: those that match everything that is given. */
export interface LetterFilter {
  readonly box: LetterBox;
  /** Ids of letters. */
  readonly ids?: readonly string[] | undefined;
  /** Inbox only: the consumer's group. */
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

/** Where in the list one stands: when the letter died, in microseconds since the epoch, and its id among those of the moment. */
export interface LetterPlace {
  readonly diedAtMicros: string;
  readonly id: string;
}

/** Letters to be changed in one transaction. */
export interface Chunk {
  readonly ids: readonly string[];
  /** Where in the order of the keys the next chunk begins. */
  readonly after: LetterCursor;
}

export type LetterCursor = readonly (string | number)[];

/** Both boxes' SQL: dead letters are chosen, locked and changed by the same steps in either. */
export interface LetterStore {
  list(
    db: DataSource,
    filter: LetterFilter,
    page: { limit: number; oldestFirst: boolean; after?: LetterPlace | undefined },
  ): Promise<(DeadLetter & LetterPlace)[]>;
  find(db: DataSource, id: string): Promise<WholeLetter | undefined>;
  /** The next letters of those that died no later than `untilMicros`, within a key in its order; undefined: no more. */
  next(
    db: DataSource,
    filter: LetterFilter,
    untilMicros: string,
    after: LetterCursor | undefined,
  ): Promise<Chunk | undefined>;
  /** Keeps away who changes what is parked of the letters' keys. To be sent before `take`, which must see the result. */
  lockKeys(tx: EntityManager, ids: readonly string[]): Promise<void>;
  /** Those that still match: nobody else's until the transaction ends. */
  take(tx: EntityManager, filter: LetterFilter, ids: readonly string[]): Promise<DeadLetter[]>;
  retry(tx: EntityManager, ids: readonly string[]): Promise<void>;
  discard(tx: EntityManager, ids: readonly string[]): Promise<void>;
}

/** Letters of one transaction: each key among them takes a lock, of some thousands that a server has for all its sessions. */
export const CHUNK = 200;

/** For `dead_at` and `clock_timestamp()`: a Date would lose what tells two letters of one millisecond apart. */
export const microsOf = (timestamp: string): string => `(extract(epoch from ${timestamp}) * 1000000)::bigint`;
export const timeOf = (parameter: string): string =>
  `timestamptz 'epoch' + ${parameter}::bigint * interval '1 microsecond'`;

/** The condition of {@link filterValues}: the planner drops what is not asked for, as it knows the parameters. */
export function matches(columns: { id: string; owner: string; key: string; keyType: string }): string {
  return `p.dead_at is not null
      and ($1::bigint[] is null or ${columns.id} = any($1))
      and ($2::text is null or ${columns.owner} = $2)
      and ($3::text is null or p.type = $3)
      and ($4::${columns.keyType} is null or ${columns.key} = $4)
      and ($5::timestamptz is null or p.dead_at >= $5)
      and ($6::timestamptz is null or p.dead_at < $6)`;
}

/** The first six parameters of a statement that chooses letters. */
export function filterValues(
  { consumer, aggregateType, type, diedAfter, diedBefore }: LetterFilter,
  ids: readonly string[] | undefined,
  key: string | Buffer | undefined,
): unknown[] {
  return [ids, consumer ?? aggregateType, type, key, diedAfter, diedBefore].map((value) => value ?? null);
}
