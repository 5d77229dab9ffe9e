import fc from 'fast-check';
import { areFound, indexedWords, searchWords } from './search-words.js';

const isFound = (query: string, text: string) => areFound(searchWords(query), indexedWords(text));

it.each([
  ['Earl’s', ['earl', 's', 'earls']],
  ["Earl's", ['earl', 's', 'earls']],
  ['Earlʼs', ['earl', 's', 'earls']],
  ['Earl´s', ['earl', 's', 'earls']],
  ['Earl\u1ffds Earl\u1fefs Earl\u0374s', ['earl', 's', 'earls']],
  ['Qurʾan', ['qur', 'an', 'quran']],
  ['Kaʿba', ['ka', 'ba', 'kaba']],
  ['Maꞌya MaꞋya', ['ma', 'ya', 'maya']],
  ['İstanbul I\u0307stanbul', ['istanbul']],
  ['“Gold”', ['gold']],
  ['🍵Tea', ['tea']],
  ['tea-earl-grey', ['tea', 'earl', 'grey']],
  ['green\u00a0tea\u2003leaf', ['green', 'tea', 'leaf']],
  ['Zimt\u00adtee', ['zimttee']],
  ['gr\u200bün\ufeff', ['grün']],
  ['Cre\u0300me', ['crème']],
  ['Ｇｏｌｄ ﬁne', ['gold', 'fine']],
  ['STRAẞE Straße STRASSE', ['strasse']],
  ['ΟΔΟΣ οδος', ['οδοσ']],
  ['2.0', ['2', '0']],
  ['抹茶ラテ', ['抹茶ラテ']],
  ['tea Tea TEA', ['tea']],
  ['🍵 – “…”', []],
])('the words of %j are %j', (text, words) => {
  expect(indexedWords(text)).toEqual(words);
});

it.each([
  ['earls', 'Earl’s Grey', true],
  ["EARL'S", 'Earl’s Grey', true],
  ['ear', 'Earl’s Grey', true],
  ['arl', 'Earl’s Grey', false],
  ['οδοσ', 'οδοσσα', true],
  ['ΟΔΟΣ', 'οδοσσα', true],
  ['strasse', 'Lange Straße', true],
  ['quran', 'Qurʾan', true],
  ["Qur'an", 'Qurʾan', true],
  ['Qurʾan', "Qur'an", true],
  ['istanbul', 'İstanbul', true],
  ['İSTANBUL', 'Istanbul', true],
])('%j finds %j: %s', (query, text, found) => {
  expect(isFound(query, text)).toBe(found);
});

it('any text finds itself, as does each part of it between spaces, in any normalization form', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
      for (const part of [text, ...text.split(' ')])
        for (const written of [part, part.normalize('NFD'), part.normalize('NFC')])
          if (!isFound(written, text)) return false;
      return true;
    }),
  );
});

it('a word fits into the index, whatever case folding does to its characters', () => {
  for (const text of ['㌀'.repeat(200), 'ﷺ'.repeat(200), '😀'.repeat(200), 'ΐ'.repeat(200), `e${'\u0301'.repeat(199)}`])
    for (const word of indexedWords(text)) expect(Buffer.byteLength(word)).toBeLessThanOrEqual(256);
});
