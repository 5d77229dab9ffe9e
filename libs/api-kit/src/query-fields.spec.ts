import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { QueryList } from './query-fields.js';

class Query {
  @QueryList(['NEW', 'OLD']) readonly status?: string[];
}

function read(status: unknown) {
  const query = plainToInstance(Query, { status });
  return { parts: query.status, isValid: validateSync(query).length === 0 };
}

describe('a list', () => {
  it.each([
    ['NEW', ['NEW']],
    ['NEW,OLD,NEW,OLD', ['NEW', 'OLD', 'NEW', 'OLD']],
    [
      ['NEW', 'OLD,NEW'],
      ['NEW', 'OLD', 'NEW'],
    ],
  ])('of %j is %j', (status, parts) => {
    expect(read(status)).toEqual({ parts, isValid: true });
  });

  it.each([
    ['commas', ','.repeat(10_000)],
    ['values with commas between', 'NEW,'.repeat(10_000)],
    ['values, each under the name', Array.from({ length: 10_000 }, () => 'NEW')],
    ['commas under each name', Array.from({ length: 100 }, () => ',,,,,,,')],
  ])('of too many %s is refused for its first five parts, one more than it may have', (_, status) => {
    const { parts, isValid } = read(status);

    expect(isValid).toBe(false);
    expect(parts).toHaveLength(5);
  });
});
