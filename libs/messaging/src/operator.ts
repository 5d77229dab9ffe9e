/** What a person may say and do, through a page or a command: the compiler has not seen it. */

export const MAX_ACTOR = 255;
export const MAX_REASON = 2000;
const MAX_LIMIT = 500;
/** Keys and the audit are locked for milliseconds: longer means that something is stuck, and a person is told so. */
export const OPERATOR_LOCK_TIMEOUT = '5s';

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
