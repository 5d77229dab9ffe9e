import { type DataSource, type EntityManager, type QueryRunner } from 'typeorm';
import { InvalidInputError } from '../errors.js';
import { isStorable } from '../message/column-text.js';
import { inTransaction } from '../postgres/transaction.js';

// Validation of an operator's input, which comes from a page or a command, so the compiler has not checked it.

/** In code points, as in the column. */
export const MAX_ACTOR = 255;
const MAX_REASON = 2000;
const MAX_LIMIT = 500;
/**
 * Keys and the audit are locked for milliseconds. A longer wait means that something is stuck, and fails. A shorter `statement_timeout` of the
 * connection ends the wait first.
 */
const LOCK_TIMEOUT = '5s';

/** Who performs the operation, at most 255 characters, and why. */
export interface LetterAction {
  readonly actor: string;
  readonly reason?: string | undefined;
}

export interface LetterPage {
  /** 1 to 500; 50 unless given. */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the previous page. */
  readonly cursor?: string | undefined;
}

/** A page of a list, and the cursor of the next page; null on the last page. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** Validates an operator's action. @throws InvalidInputError if the actor or reason is blank, too long or cannot be stored */
export function checkAction({ actor, reason }: LetterAction): void {
  checkText('actor', actor, MAX_ACTOR);
  if (reason !== undefined) checkReason(reason);
}

/** Validates a reason. @throws InvalidInputError if it is blank, too long or cannot be stored */
export function checkReason(reason: string): void {
  checkText('reason', reason, MAX_REASON);
}

function checkText(what: string, text: string, max: number): void {
  const sound = typeof text === 'string' && text.trim() !== '' && lengthOf(text, max) <= max && isStorable(text);
  if (!sound) throw new InvalidInputError(`${what} must be 1 to ${max} characters that can be stored, and not blank`);
}

/** Returns the number of code points, as a column counts them. Does not count a text that has more than `max` in any case. */
function lengthOf(text: string, max: number): number {
  return text.length <= max || text.length > 2 * max ? text.length : Array.from(text).length;
}

/** Validates the texts of a filter. @throws InvalidInputError for a text that PostgreSQL cannot store, so that no row can have it */
export function checkFilterTexts(...texts: readonly (string | undefined)[]): void {
  if (texts.some((text) => text !== undefined && !isStorable(text)))
    throw new InvalidInputError('A filter must not contain a zero byte or half of a surrogate pair');
}

/** Runs a transaction that fails if it has to wait for a lock for more than five seconds, or than the statement timeout. */
export async function operatorTransaction<T>(
  dataSource: DataSource,
  work: (tx: EntityManager) => Promise<T>,
): Promise<T> {
  return inTransaction(dataSource, async (tx) => {
    await limitLockWaits(tx);
    return work(tx);
  });
}

/**
 * Begins an operator's action in a transaction of the caller, which fails from then on if it has to wait too long for a lock. Returns
 * the query runner to run something after the commit.
 * @throws Error if no transaction is open
 */
export async function beginOperatorAction(tx: EntityManager): Promise<QueryRunner> {
  if (!tx.queryRunner?.isTransactionActive)
    throw new Error('An action of an operator must be called with the manager of an open transaction');
  await limitLockWaits(tx);
  return tx.queryRunner;
}

async function limitLockWaits(tx: EntityManager): Promise<void> {
  await tx.query(`select set_config('lock_timeout', '${LOCK_TIMEOUT}', true)`);
}

/** Returns the page size; 50 unless given. @throws InvalidInputError if it is invalid */
export function limitOf({ limit = 50 }: { readonly limit?: number | undefined }): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new InvalidInputError(`limit must be 1 to ${MAX_LIMIT}, not ${limit}`);
  return limit;
}

/**
 * Makes a page of rows that were read with one row more than `limit`. The extra row shows that there is a next page. `lookedUpTo` is where
 * the search ended early.
 */
export function toPage<T extends Place, Place = T>(
  rows: readonly T[],
  limit: number,
  cursorOf: (row: Place) => string,
  lookedUpTo?: Place,
): Page<T> {
  const items = rows.slice(0, limit);
  const last = rows.length > limit ? items.at(-1) : lookedUpTo;
  return { items, nextCursor: last === undefined ? null : cursorOf(last) };
}

/** @throws InvalidInputError if the id is invalid */
export function checkId(what: string, id: string): void {
  if (!/^-?\d{1,18}$/.test(id)) throw new InvalidInputError(`${JSON.stringify(id)} is not a valid ${what}`);
}
