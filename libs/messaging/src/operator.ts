/** What a person may say and do, through a page or a command: the compiler has not seen it. */

export const MAX_ACTOR = 255;
export const MAX_REASON = 2000;
const MAX_LIMIT = 500;
/** Keys and the audit are locked for milliseconds: longer means that something is stuck, and a person is told so. */
export const OPERATOR_LOCK_TIMEOUT = '5s';

/** Who retries or discards, at most 255 characters, and why. */
export interface LetterAction {
  readonly actor: string;
  readonly reason?: string | undefined;
}

export interface LetterPage {
  /** 1 to 500; 50 unless given. */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
}

/** A part of a list, and where the next one begins: null on the last. */
export interface Letters<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** @throws RangeError for a text that says nothing, is too long, or cannot be stored */
export function checkText(what: string, text: string, max: number): void {
  const sound = typeof text === 'string' && text.trim() !== '' && text.length <= max && !text.includes('\0');
  if (!sound) throw new RangeError(`${what} must be 1 to ${max} characters, not blank`);
}

/** The size of a page; 50 unless given. @throws RangeError for none */
export function limitOf({ limit = 50 }: { readonly limit?: number | undefined }): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new RangeError(`limit must be 1 to ${MAX_LIMIT}, not ${limit}`);
  return limit;
}

/** Makes a page of rows that were read with one row more than `limit`: the extra row shows that there is a next page. */
export function lettersOf<T>(rows: readonly T[], limit: number, cursorOf: (row: T) => string): Letters<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? cursorOf(last) : null };
}
