import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { SearchWords } from './search-words.js';

class Query {
  @SearchWords()
  readonly q?: string;
}

function read(q: string) {
  const query = plainToInstance(Query, { q });
  return { q: query.q, isValid: validateSync(query).length === 0 };
}

describe('the words of a search', () => {
  it('are searched for once, however often they are repeated', () => {
    expect(read(Array(50).fill('a').join(' '))).toEqual({ q: 'a', isValid: true });
    expect(read('Tea  green tea\tGreen')).toEqual({ q: 'tea Green', isValid: true });
  });

  it('stay as they are otherwise', () => {
    expect(read('Earl’s tea-house №5')).toEqual({ q: 'Earl’s tea-house №5', isValid: true });
  });

  it.each([
    ['different words', 'a b c d e f g h i j k'],
    ['words of one piece', Array(11).fill('a').join('-')],
    ['beginnings of one another', Array.from({ length: 11 }, (_, n) => 'a'.repeat(n + 1)).join(' ')],
  ])('are refused when they are eleven: %s', (_, q) => {
    expect(read(q).isValid).toBe(false);
  });

  it('may be ten', () => {
    expect(read('a b c d e f g h i j').isValid).toBe(true);
  });
});
