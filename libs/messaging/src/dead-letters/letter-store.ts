import { type DataSource, type EntityManager } from 'typeorm';
import { causeOf, type Causes } from './cause.js';
import { type DeadLetter, type LetterFilter, type WholeLetter } from './dead-letter.js';

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
  /** Groups the newest matching letters by cause. */
  causes(db: DataSource, filter: LetterFilter): Promise<Causes>;
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

/** Returns the condition for {@link filterValues}. The planner knows the parameters, so it drops the filters not given. */
export function matches(columns: { id: string; owner: string; key: string; keyType: string; topic: string }): string {
  return `p.dead_at is not null
      and ($1::bigint[] is null or ${columns.id} = any($1))
      and ($2::text is null or ${columns.owner} = $2)
      and ($3::text is null or p.type = $3)
      and ($4::${columns.keyType} is null or ${columns.key} = $4)
      and ($5::timestamptz is null or p.dead_at >= $5)
      and ($6::timestamptz is null or p.dead_at < $6)
      and ($7::text[] is null or ${columns.topic} = any($7))
      and ($8::text is null or ${causeOf('p.error')} = $8)`;
}

/** Returns the first parameters of a statement that selects letters. `topics` are the values of the column that stands for the topic. */
export function filterValues(
  { consumer, aggregateType, type, diedAfter, diedBefore, cause }: LetterFilter,
  ids: readonly string[] | undefined,
  key: string | Buffer | undefined,
  topics: readonly string[] | undefined,
): unknown[] {
  return [ids, consumer ?? aggregateType, type, key, diedAfter, diedBefore, topics, cause].map(
    (value) => value ?? null,
  );
}
