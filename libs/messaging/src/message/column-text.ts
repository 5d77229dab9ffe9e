/** The size of a column for names and ids (`varchar(255)`) in characters, each of up to four bytes. */
const MAX_CHARACTERS = 255;

/**
 * Replaces zero bytes, which PostgreSQL's `text` and `jsonb` cannot store, with U+FFFD. Use it for texts that people read, and for
 * headers: U+FFFD keeps a header unreadable that was unreadable because of a zero byte.
 */
export function storable(text: string): string {
  return text.replaceAll('\0', '\uFFFD');
}

/** Whether PostgreSQL can store the text unchanged. Its `text` and `jsonb` hold neither a zero byte nor half of a surrogate pair. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

/** Whether the text is longer than a column for names and ids, which counts code points. */
export function isTooLong(text: string): boolean {
  return text.length > MAX_CHARACTERS && (text.length > 2 * MAX_CHARACTERS || Array.from(text).length > MAX_CHARACTERS);
}

/**
 * Explains why a column for names and ids cannot store the text unchanged; undefined if it can. A name or id is rejected and
 * never altered, because two different ones must not become the same.
 */
export function textFlaw(text: string): string | undefined {
  if (text === '') return 'is empty';
  if (text.includes('\0')) return 'contains a zero byte';
  if (!text.isWellFormed()) return 'contains half of a surrogate pair';
  return isTooLong(text) ? `is longer than ${MAX_CHARACTERS} characters` : undefined;
}

/** Text that jsonb rejects. `JSON.stringify` escapes these characters with `\u`, and no others except control characters. */
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

/** Whether jsonb can store JSON that `JSON.stringify` has returned, that is, whether it has neither a zero byte nor half of a surrogate pair. */
export function isStorableJson(json: string): boolean {
  return !(json.includes('\\u') && UNSTORABLE.test(json));
}

/**
 * A b-tree entry holds 2,704 bytes (PostgreSQL, "B-Tree Limits"). An entry of `inbox_pkey` also contains a consumer of up to
 * 1,020 bytes.
 */
const MAX_IDENTITY_BYTES = 1600;

/** Explains why the inbox's primary key cannot hold an id and a source that are each valid; undefined if it can. */
export function identityFlaw(id: string, source: string): string | undefined {
  if (3 * (id.length + source.length) <= MAX_IDENTITY_BYTES) return undefined;
  return Buffer.byteLength(id) + Buffer.byteLength(source) > MAX_IDENTITY_BYTES
    ? `id and source together are longer than ${MAX_IDENTITY_BYTES} bytes`
    : undefined;
}

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Whether a UUID column accepts the text and returns it unchanged except for its case. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}
