import { readArguments, UsageError } from './arguments.js';

const read = (...argv: string[]) => readArguments(argv, () => 42);

it('reads its options, has a default for each, and accepts --help', () => {
  expect(read('--minutes', '0.5', '--seed', '7', '--brokers', '3', '--standby')).toEqual({
    minutes: 0.5,
    seed: 7,
    brokers: 3,
    standby: true,
    secure: false,
  });
  expect(read()).toEqual({ minutes: 5, seed: 42, brokers: 1, standby: false, secure: false });
  expect(read('--secure')).toMatchObject({ brokers: 1, secure: true });
  expect(read('--help')).toBe('help');
});

it.each([
  [['--minutes', 'x'], '--minutes is "x"'],
  [['--minutes', '0'], '--minutes is "0"'],
  [['--minutes=-1'], '--minutes is "-1"'],
  [['--minutes', '1441'], '--minutes is "1441"'],
  [['--seed', '1.5'], '--seed is "1.5"'],
  [['--seed', '4294967296'], '--seed is "4294967296"'],
  [['--seed', ''], '--seed is ""'],
  [['--brokers', '2'], '--brokers is "2"'],
  [['--brokers', 'three'], '--brokers is "three"'],
  [['--secure', '--brokers', '3'], '--secure has one broker'],
  [['--seed'], 'argument missing'],
  [['--sed', '1'], "Unknown option '--sed'"],
  [['5'], "Unexpected argument '5'"],
])('rejects %j', (argv, message) => {
  expect(() => read(...argv)).toThrow(UsageError);
  expect(() => read(...argv)).toThrow(message);
});
