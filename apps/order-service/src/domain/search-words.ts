/** Longer words are compared by their beginning only: it bounds what a product adds to the index. */
const MOST_CHARACTERS = 64;

/** All characters used as apostrophes. Unicode counts U+02B9 to U+02C8 and the saltillo as letters, so they would join words. */
const APOSTROPHES = /['‘’‛`´＇\u02b9\u02bb-\u02bf\u02c8\ua78b\ua78c]/gu;

/**
 * The words of a search text, each once. A product is found when each of them begins one of its {@link indexedWords}.
 *
 * A word is a run of letters, marks and digits of any script, compared as Unicode's NFKC_Casefold does (UAX #44): without case,
 * composed, and without characters that nobody sees, such as soft hyphens. Both sides of a search use this function, and neither the
 * database nor its locale has a say in it.
 */
export function searchWords(text: string): string[] {
  return [...new Set(scan(text.replace(APOSTROPHES, ' ')))];
}

/** The words by which a text is found: `Earl’s` by `earl`, by `s`, and by `earls`, for those who leave the apostrophe out. */
export function indexedWords(text: string): string[] {
  return [...new Set([...searchWords(text), ...scan(text.replace(APOSTROPHES, ''))])];
}

/** Whether a text with these words is found by all of the others. */
export function areFound(words: readonly string[], indexed: readonly string[]): boolean {
  return words.every((word) => indexed.some((known) => known.startsWith(word)));
}

function scan(text: string): string[] {
  const words = folded(text).match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return words.map((word) => Array.from(word).slice(0, MOST_CHARACTERS).join(''));
}

function folded(text: string): string {
  const visible = text.replace(/\p{Default_Ignorable_Code_Point}/gu, '').normalize('NFKC');
  // Upper case in between makes ß and ss, or ſ and s, the same; lower case before it does so for ẞ. A sigma at the end of a word has a
  // form of its own, which the beginning of a longer word has not.
  const cased = visible.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ');
  // The Turkish İ becomes an i with a second dot.
  return cased.replaceAll('i\u0307', 'i').normalize('NFKC');
}
