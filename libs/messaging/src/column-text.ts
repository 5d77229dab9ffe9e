/** What a column for names and ids holds (`varchar(255)`): characters, each of up to four bytes. */
const MAX_CHARACTERS = 255;

/**
 * The text with U+FFFD for zero bytes, which PostgreSQL's `text` and `jsonb` cannot hold. For texts that people read, and for
 * headers: what could not be read because of a zero byte must not become readable.
 */
export function storable(text: string): string {
  return text.replaceAll('\0', '\uFFFD');
}

/** Whether the text is longer than a column for names and ids, which counts code points. */
export function isTooLong(text: string): boolean {
  return text.length > MAX_CHARACTERS && (text.length > 2 * MAX_CHARACTERS || Array.from(text).length > MAX_CHARACTERS);
}

/**
 * Why a column for names and ids cannot hold the text as it is; undefined if it can. A name or id is refused and never
 * changed: two different ones must not become the same.
 */
export function textFlaw(text: string): string | undefined {
  if (text === '') return 'is empty';
  if (text.includes('\0')) return 'has a zero byte';
  if (!text.isWellFormed()) return 'has half of a surrogate pair';
  return isTooLong(text) ? `is longer than ${MAX_CHARACTERS} characters` : undefined;
}

/**
 * An entry of a b-tree holds 2,704 bytes (PostgreSQL, "B-Tree Limits"). That of `inbox_pkey` has a consumer of up to 1,020
 * bytes too.
 */
const MAX_IDENTITY_BYTES = 1600;

/** Why the key of the inbox cannot hold a message's id and source, which are sound by themselves; undefined if it can. */
export function identityFlaw(id: string, source: string): string | undefined {
  if (3 * (id.length + source.length) <= MAX_IDENTITY_BYTES) return undefined;
  return Buffer.byteLength(id) + Buffer.byteLength(source) > MAX_IDENTITY_BYTES
    ? `id and source together are longer than ${MAX_IDENTITY_BYTES} bytes`
    : undefined;
}

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Whether a column of UUIDs holds the text, and gives it back but for its case. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}
