import { LineLimit } from './kafka-log.js';

let now: number;
let limit: LineLimit;

beforeEach(() => {
  now = 0;
  limit = new LineLimit(() => now);
});

const error = (text: string) => limit.take({ level: 'error', text });

it('lets one line of each kind through a minute, and counts the others in the next one', () => {
  expect(error('Connection error: connect ECONNREFUSED 127.0.0.1:9092')).toEqual({
    level: 'error',
    text: 'Connection error: connect ECONNREFUSED 127.0.0.1:9092',
  });
  now = 59_999;
  expect(error('Connection error: connect ECONNREFUSED 127.0.0.1:9093')).toBeUndefined();
  expect(error('Connection error: connect ECONNREFUSED 127.0.0.1:9094')).toBeUndefined();
  now = 60_000;

  expect(error('Connection error: connect ECONNREFUSED 127.0.0.1:9095')?.text).toBe(
    'Connection error: connect ECONNREFUSED 127.0.0.1:9095 (and 2 more like it since the last such line)',
  );
});

it('distinguishes kinds by their words, not by their ids', () => {
  expect(error('Consumer: no answer to 0199f7a2-1111-7abc-8def-0123456789ab')).toBeDefined();
  expect(error('Consumer: no answer to 0199f7a2-2222-7abc-8def-0123456789ab')).toBeUndefined();
  expect(error('Producer: no answer to 0199f7a2-3333-7abc-8def-0123456789ab')).toBeDefined();
});

it('lowers routine lines to the debug level, and leaves debug lines unchanged', () => {
  const text = 'Runner: The group is rebalancing, re-joining';

  expect(limit.take({ level: 'warn', text })).toEqual({ level: 'debug', text });
  expect(limit.take({ level: 'debug', text: 'x' })).toEqual({ level: 'debug', text: 'x' });
  expect(limit.take({ level: 'debug', text: 'x' })).toEqual({ level: 'debug', text: 'x' });
});

it('P7 forgets the kinds when there are too many', () => {
  const names = Array.from({ length: 600 }, (_, n) => String.fromCodePoint(0x4e00 + n));
  for (const name of names) error(name);

  expect(error(names.at(-1)!)).toBeUndefined();
  expect(error(names[0]!)).toBeDefined();
});
