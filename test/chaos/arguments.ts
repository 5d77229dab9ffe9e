import { parseArgs } from 'node:util';

export const USAGE = `Usage: npm run chaos -- [--minutes M] [--seed S] [--brokers N] [--standby] [--secure]

Runs two replicas of each service under load and faults. Customers fill carts, place orders and cancel them; operators and a payment
provider decide payments; depending on the seed, the simulated gateway settles the remaining payments or they expire. Depending on the
seed, one of the services has two separate relay processes. Meanwhile processes, PostgreSQL, Kafka and the connections between them are
killed, paused, restarted and cut at random, message handlers fail occasionally, columns are widened under load, the database is slow at
times, and requests and messages are sent twice. At the end the databases and topics are read, and the guarantees are checked.

  --minutes M   duration of load and faults, more than 0, at most 1440 (default: 5)
  --seed S      an integer from 0 to 4294967295; the same seed gives the same faults (default: random)
  --brokers N   1 (default) or 3. A cluster has three copies of every topic, two of which acknowledge. Its brokers are killed, paused
                and restarted one at a time and cut off from the services, partition leaders move, and coordinators of groups are killed.
  --standby     PostgreSQL has a synchronous standby. Repeatedly the primary is killed for good and the standby promoted, which then gets
                a new standby; the standby itself is killed and paused.
  --secure      Kafka requires TLS and SASL (SCRAM-SHA-512) of both services and their relays. It has one broker, which runs with Java.
  --help        show this text

Exit status: 0 if all checks pass, 1 if a check or the run fails, 2 if the arguments are invalid.`;

export class UsageError extends Error {}

export type Arguments =
  | 'help'
  | {
      readonly minutes: number;
      readonly seed: number;
      readonly brokers: number;
      readonly standby: boolean;
      readonly secure: boolean;
    };

/** @throws UsageError that names the invalid argument */
export function readArguments(argv: readonly string[], randomSeed: () => number): Arguments {
  const { help, minutes, seed, brokers, standby = false, secure = false } = parse(argv);
  if (help) return 'help';
  const wanted = {
    minutes: minutes === undefined ? 5 : numberFrom(minutes, /^\d+(\.\d+)?$/),
    seed: seed === undefined ? randomSeed() : numberFrom(seed, /^\d+$/),
    brokers: brokers === undefined ? 1 : numberFrom(brokers, /^\d+$/),
    standby,
    secure,
  };
  if (!(wanted.minutes > 0 && wanted.minutes <= 1440))
    throw new UsageError(`--minutes is "${minutes}", but must be a number above 0 and at most 1440`);
  if (!(wanted.seed < 2 ** 32))
    throw new UsageError(`--seed is "${seed}", but must be an integer from 0 to 4294967295`);
  if (![1, 3].includes(wanted.brokers)) throw new UsageError(`--brokers is "${brokers}", but must be 1 or 3`);
  if (secure && wanted.brokers > 1)
    throw new UsageError('--secure has one broker, so it cannot be combined with --brokers 3');
  return wanted;
}

function parse(argv: readonly string[]) {
  try {
    const options = {
      help: { type: 'boolean' },
      minutes: { type: 'string' },
      seed: { type: 'string' },
      brokers: { type: 'string' },
      standby: { type: 'boolean' },
      secure: { type: 'boolean' },
    } as const;
    return parseArgs({ args: [...argv], options, strict: true }).values;
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

const numberFrom = (text: string, shape: RegExp) => (shape.test(text) ? Number(text) : Number.NaN);
