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

/** A filter whose `diedBefore` may be text, which keeps its microseconds. */
export type Selection<Filter> = Omit<Filter, 'diedBefore'> & { readonly diedBefore?: Date | string | undefined };

/** What became of retried letters or jobs. */
export interface Outcomes {
  /** How many have neither been processed nor failed again. */
  readonly waiting: number;
  /** Those that failed again, in order. */
  readonly failed: readonly { readonly id: string; readonly error: string }[];
}

/** How the dead of a table are chosen to be changed. */
export interface DeadStore<Filter, Dead> {
  count(db: DataSource | EntityManager, selection: Selection<Filter>): Promise<number>;
  /** Returns the first ones in the order of {@link next}. */
  first(db: DataSource | EntityManager, selection: Selection<Filter>, limit: number): Promise<Dead[]>;
  /** Returns the next ones, in order within each key. Undefined when there are no more. */
  next(
    db: DataSource,
    selection: Selection<Filter>,
    after: LetterCursor | undefined,
    limit: number,
  ): Promise<Chunk | undefined>;
  /** Locks and returns those that still match, until the transaction ends. */
  take(tx: EntityManager, selection: Selection<Filter>, ids: readonly string[]): Promise<Dead[]>;
  retry(tx: EntityManager, ids: readonly string[]): Promise<void>;
  discard(tx: EntityManager, ids: readonly string[]): Promise<void>;
  /** Returns what became of retried ones. */
  outcomes(db: DataSource, ids: readonly string[]): Promise<Outcomes>;
}

/** The SQL of a box. Dead letters are selected, locked and changed by the same steps in both boxes. */
export interface LetterStore extends DeadStore<LetterFilter, DeadLetter> {
  list(
    db: DataSource,
    filter: LetterFilter,
    page: { limit: number; oldestFirst: boolean; after?: LetterPlace | undefined },
  ): Promise<(DeadLetter & LetterPlace)[]>;
  /** Groups the newest matching letters by cause. */
  causes(db: DataSource, filter: LetterFilter): Promise<Causes>;
  find(db: DataSource, id: string): Promise<WholeLetter | undefined>;
  /** Locks the parked messages of the letters' keys. Must precede `take`, which has to see earlier changes to them. */
  lockKeys(tx: EntityManager, ids: readonly string[]): Promise<void>;
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
  { consumer, aggregateType, type, diedAfter, diedBefore, cause }: Selection<LetterFilter>,
  ids: readonly string[] | undefined,
  key: string | Buffer | undefined,
  topics: readonly string[] | undefined,
): unknown[] {
  return [ids, consumer ?? aggregateType, type, key, diedAfter, diedBefore, topics, cause].map(
    (value) => value ?? null,
  );
}

/** Returns what became of retried letters or jobs, given those that still exist. The others have been processed. */
export function outcomesOf(
  rows: readonly { readonly id: string; readonly hasFailed: boolean; readonly error: string | null }[],
): Outcomes {
  const failed = rows.filter(({ hasFailed }) => hasFailed).map(({ id, error }) => ({ id, error: error ?? 'unknown' }));
  return { waiting: rows.length - failed.length, failed };
}
