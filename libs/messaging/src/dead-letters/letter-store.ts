import { type DataSource, type EntityManager } from 'typeorm';
import { type Causes } from './cause.js';
import { type DeadLetter, type LetterFilter, type WholeLetter } from './dead-letter.js';

/** A letter's position in the list: when it died, in microseconds since the epoch, and its id as the tiebreaker. */
export interface LetterPlace {
  readonly diedAtMicros: string;
  readonly id: string;
}

export interface ListPage {
  readonly limit: number;
  readonly oldestFirst: boolean;
  readonly after?: LetterPlace | undefined;
}

/** Rows of a list. `lookedUpTo` is where to continue if the search ended before the page was full. */
export interface Listed<Row> {
  readonly rows: readonly (Row & LetterPlace)[];
  readonly lookedUpTo?: LetterPlace | undefined;
}

/** Letters to change in one transaction. */
export interface Chunk {
  /** Perhaps none, although there are more. */
  readonly ids: readonly string[];
  /** The sort key after which the next chunk begins. */
  readonly after: LetterCursor | undefined;
  /** Whether there may be more. */
  readonly more: boolean;
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

/** The number of matching items, which is lower than the real one if `totalIsExact` is false, and the first of them. */
export interface Preview<Dead> {
  readonly total: number;
  readonly totalIsExact: boolean;
  readonly first: readonly Dead[];
}

/** How the dead of a table are chosen to be changed. */
export interface DeadStore<Filter, Dead> {
  /** Counts them, with a bounded effort, and returns the first ones in the order of {@link next}. */
  preview(db: DataSource, selection: Selection<Filter>, limit: number): Promise<Preview<Dead>>;
  /** Returns the next ones, in order within each key. */
  next(db: DataSource, selection: Selection<Filter>, after: LetterCursor | undefined, limit: number): Promise<Chunk>;
  /** Locks and returns those that still match, until the transaction ends. */
  take(tx: EntityManager, selection: Selection<Filter>, ids: readonly string[]): Promise<Dead[]>;
  retry(tx: EntityManager, ids: readonly string[]): Promise<void>;
  discard(tx: EntityManager, ids: readonly string[]): Promise<void>;
  /** Returns what became of retried ones. */
  outcomes(db: DataSource, ids: readonly string[]): Promise<Outcomes>;
}

/** The SQL of a box. Dead letters are selected, locked and changed by the same steps in both boxes. */
export interface LetterStore extends DeadStore<LetterFilter, DeadLetter> {
  list(db: DataSource, filter: LetterFilter, page: ListPage): Promise<Listed<DeadLetter>>;
  /** Groups the newest matching letters by cause. */
  causes(db: DataSource, filter: LetterFilter): Promise<Causes>;
  find(db: DataSource, id: string): Promise<WholeLetter | undefined>;
  /** Locks the parked messages of the letters' keys. Must precede `take`, which has to see earlier changes to them. */
  lockKeys(tx: EntityManager, ids: readonly string[]): Promise<void>;
}

/** Letters per transaction. Each of their keys takes a lock, and a server has only some thousands for all its sessions. */
export const CHUNK = 200;

/** Returns what became of retried letters or jobs, given those that still exist. The others have been processed. */
export function outcomesOf(
  rows: readonly { readonly id: string; readonly hasFailed: boolean; readonly error: string | null }[],
): Outcomes {
  const failed = rows.filter(({ hasFailed }) => hasFailed).map(({ id, error }) => ({ id, error: error ?? 'unknown' }));
  return { waiting: rows.length - failed.length, failed };
}
