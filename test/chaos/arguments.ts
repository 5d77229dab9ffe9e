import { parseArgs } from 'node:util';

export const USAGE = `usage: npm run chaos -- [--minutes M] [--seed S]

Customers fill carts, place orders and cancel them, operators and a payment provider decide payments, and the simulated gateway
or nobody (by the seed) settles the others, through two replicas of each service, one of which (by the seed) has two relays of its
own. Meanwhile processes, PostgreSQL, Kafka and the connections between them are killed, paused, restarted and cut off at random,
message handlers fail now and then, columns are widened under load, the database is slow for some time, and requests and messages
are sent twice. At the end the databases and topics are read, and what was promised is checked.

  --minutes M   how long orders flow and faults happen, more than 0, at most 1440 (default: 5)
  --seed S      a whole number from 0 to 4294967295; the same one gives the same faults (default: a random one)
  --help        this text

Exit status: 0 every check holds, 1 one does not or the run failed, 2 the arguments are wrong.`;

export class UsageError extends Error {}

export type Arguments = 'help' | { readonly minutes: number; readonly seed: number };

/** @throws UsageError that names what is wrong */
export function readArguments(argv: readonly string[], randomSeed: () => number): Arguments {
  const { help, minutes, seed } = parse(argv);
  if (help) return 'help';
  const wanted = {
    minutes: minutes === undefined ? 5 : numberFrom(minutes, /^\d+(\.\d+)?$/),
    seed: seed === undefined ? randomSeed() : numberFrom(seed, /^\d+$/),
  };
  if (!(wanted.minutes > 0 && wanted.minutes <= 1440))
    throw new UsageError(`--minutes is "${minutes}", but must be a number above 0 and at most 1440`);
  if (!(wanted.seed < 2 ** 32))
    throw new UsageError(`--seed is "${seed}", but must be a whole number from 0 to 4294967295`);
  return wanted;
}

function parse(argv: readonly string[]) {
  try {
    const options = { help: { type: 'boolean' }, minutes: { type: 'string' }, seed: { type: 'string' } } as const;
    return parseArgs({ args: [...argv], options, strict: true }).values;
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

const numberFrom = (text: string, shape: RegExp) => (shape.test(text) ? Number(text) : Number.NaN);
