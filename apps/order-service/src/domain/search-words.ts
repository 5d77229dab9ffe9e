/** Longer words are truncated, which bounds what a product adds to the index. */
const MAX_CHARACTERS = 64;

/** All characters used as apostrophes. Unicode counts U+02B9 to U+02C8 and the saltillo as letters, so they would join words. */
const APOSTROPHES = /['‘’‛`´＇\u02b9\u02bb-\u02bf\u02c8\ua78b\ua78c]/gu;

/**
 * Returns the distinct words of a search. A product matches if each of them is a prefix of one of its {@link indexedWords}. A word is a
 * run of letters, marks and digits of any script, folded as by Unicode's NFKC_Casefold (UAX #44): case and invisible characters, such as
 * soft hyphens, are ignored. Both sides of a search use this function, so the database and its locale do not matter.
 */
export function searchWords(text: string): string[] {
  return [...new Set(scan(replaceApostrophes(text, ' ')))];
}

/** Returns the words to find a text by: for `Earl’s`, `earl`, `s`, and `earls` for those who omit the apostrophe. */
export function indexedWords(text: string): string[] {
  return [...new Set([...searchWords(text), ...scan(replaceApostrophes(text, ''))])];
}

export function areFound(words: readonly string[], indexed: readonly string[]): boolean {
  return words.every((word) => indexed.some((known) => known.startsWith(word)));
}

function replaceApostrophes(text: string, by: string): string {
  // NFC turns the Greek oxia, varia and numeral sign into apostrophes of the list.
  return text.normalize('NFC').replace(APOSTROPHES, by);
}

function scan(text: string): string[] {
  const words = folded(text).match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return words.map((word) => Array.from(word).slice(0, MAX_CHARACTERS).join(''));
}

function folded(text: string): string {
  const visible = text.replace(/\p{Default_Ignorable_Code_Point}/gu, '').normalize('NFKC');
  // Upper case in between unifies ß and ss, and ſ and s; lower case before it does so for ẞ. A final sigma is unified as well, because a
  // prefix of a longer word does not end with it.
  const cased = visible.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ');
  // The Turkish İ becomes an i with a second, combining dot.
  return cased.replaceAll('i\u0307', 'i').normalize('NFKC');
}
