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
  ])('is read from %j as %j', (status, parts) => {
    expect(read(status)).toEqual({ parts, isValid: true });
  });

  it.each([
    ['commas', ','.repeat(10_000)],
    ['comma-separated values', 'NEW,'.repeat(10_000)],
    ['repeated names', Array.from({ length: 10_000 }, () => 'NEW')],
    ['commas in repeated names', Array.from({ length: 100 }, () => ',,,,,,,')],
  ])('is rejected with too many %s after reading one part more than allowed', (_, status) => {
    const { parts, isValid } = read(status);

    expect(isValid).toBe(false);
    expect(parts).toHaveLength(5);
  });
});
