import { validateSync } from 'class-validator';
import { HasFewWords } from './search-words.js';

class Query {
  @HasFewWords()
  readonly q?: string;
}

const isValid = (q: string) => validateSync(Object.assign(new Query(), { q })).length === 0;

describe('the words of a search', () => {
  it.each([
    ['different words', 'a b c d e f g h i j k'],
    ['words with hyphens', 'a-b-c-d-e-f-g-h-i-j-k'],
    ['prefixes of one another', Array.from({ length: 11 }, (_, n) => 'a'.repeat(n + 1)).join(' ')],
  ])('are rejected if there are eleven: %s', (_, q) => {
    expect(isValid(q)).toBe(false);
  });

  it.each([
    ['ten words', 'a b c d e f g h i j'],
    ['one word, repeated', Array(50).fill('a').join(' ')],
    ['one word in two spellings', Array(25).fill('Tea tea').join('-')],
  ])('are accepted: %s', (_, q) => {
    expect(isValid(q)).toBe(true);
  });
});
