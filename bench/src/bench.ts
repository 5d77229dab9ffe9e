// Measures the figures in docs/benchmarks.md: `npm run bench [-- part…] [--quick] [--secure]`
import { parseArgs } from 'node:util';
import { describeError, OperationalError, ProgressReport, startKafka, startPostgres } from '@twinbox/tools';
import { type Figure, printTable } from './support/figures.js';
import { LOGICAL_DECODING } from './debezium/configuration.js';
import { consolePages } from './parts/console.js';
import { debezium } from './parts/debezium.js';
import { grpc } from './parts/grpc.js';
import { inbox } from './parts/inbox.js';
import { latency } from './parts/latency.js';
import { lists } from './parts/lists.js';
import { live } from './parts/live.js';
import { memory } from './parts/memory.js';
import { million } from './parts/million.js';
import { operations } from './parts/operations.js';
import { relay } from './parts/relay.js';
import { saga } from './parts/saga.js';
import { takeover } from './parts/takeover.js';
import { tokens } from './parts/tokens.js';
import { tracing } from './parts/tracing.js';
import { worstInput } from './parts/worst-input.js';
import { writer } from './parts/writer.js';
import { startSecured } from './support/secured.js';
import { type Servers } from './support/servers.js';

interface Part {
  readonly measure: (servers: Servers) => Promise<Figure[]>;
  /** The usual duration, and that of --quick. */
  readonly seconds: readonly [whole: number, quick: number];
  /** Measured only when it is named. */
  readonly optIn?: true;
  /** PostgreSQL's settings that it needs. */
  readonly settings?: Readonly<Record<string, string>>;
}

const PARTS: Readonly<Record<string, Part>> = {
  relay: { measure: relay, seconds: [150, 15] },
  latency: { measure: latency, seconds: [110, 30] },
  inbox: { measure: inbox, seconds: [110, 20] },
  writer: { measure: writer, seconds: [170, 15] },
  memory: { measure: memory, seconds: [45, 6] },
  operations: { measure: operations, seconds: [90, 25] },
  million: { measure: million, seconds: [90, 10] },
  takeover: { measure: takeover, seconds: [60, 15] },
  saga: { measure: saga, seconds: [900, 150] },
  tokens: { measure: tokens, seconds: [210, 55] },
  tracing: { measure: tracing, seconds: [220, 60] },
  grpc: { measure: grpc, seconds: [240, 45] },
  lists: { measure: lists, seconds: [400, 40] },
  live: { measure: live, seconds: [40, 30] },
  'worst-input': { measure: worstInput, seconds: [90, 30] },
  console: { measure: consolePages, seconds: [100, 40], optIn: true },
  debezium: { measure: debezium, seconds: [700, 110], optIn: true, settings: LOGICAL_DECODING },
};

const USAGE = `npm run bench [-- part…] [--quick] [--secure]
Parts: ${Object.keys(PARTS).join(', ')}. Default: all but console and debezium.
console needs Chromium.
debezium compares the relay with Debezium. It needs Java 17 or newer and, for the first run, Maven.
--secure measures with a broker that requires TLS and SASL (SCRAM-SHA-512). It runs with Java too, and not with debezium.`;

async function main(): Promise<number> {
  const options = { quick: { type: 'boolean' }, secure: { type: 'boolean' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const { secure = false } = values;
  if (secure && positionals.includes('debezium'))
    throw new OperationalError(
      'debezium cannot be measured with --secure, because its connector is configured without TLS.',
    );
  const unknown = positionals.filter((name) => !Object.hasOwn(PARTS, name));
  if (unknown.length > 0) {
    console.error(`Unknown part: ${unknown.join(', ')}\n${USAGE}`);
    return 2;
  }
  const wanted = Object.entries(PARTS).filter(([name, { optIn }]) =>
    positionals.length === 0 ? !optIn : positionals.includes(name),
  );
  const quick = values.quick ?? false;
  const plan = wanted.map(([name, { seconds }]) => ({ name, seconds: seconds[quick ? 1 : 0] }));
  const progress = new ProgressReport(plan, (line) => console.error(line));

  const figures: Figure[] = [];
  const settings = Object.assign({}, ...wanted.map(([, part]) => part.settings)) as Record<string, string>;
  await withServers(settings, secure, async (servers) => {
    for (const [, { measure }] of wanted) {
      if (servers.signal.aborted) break;
      progress.beginPart();
      figures.push(...(await measure({ ...servers, quick, rounds: (count) => progress.rounds(count) })));
    }
  });
  progress.stop();
  printTable(figures);
  return 0;
}

/** Starts throw-away servers and removes them however this ends. */
async function withServers(
  settings: Readonly<Record<string, string>>,
  secure: boolean,
  use: (servers: Omit<Servers, 'quick' | 'rounds'>) => Promise<void>,
): Promise<void> {
  console.error('starting PostgreSQL and Kafka');
  const stop = new AbortController();
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        stop.abort();
        reject(new Error(`stopped by ${signal}`));
      });
  });
  // Nobody awaits it while the servers start, and a rejection that nobody handles would end this process and leave them behind.
  interrupted.catch(() => undefined);
  const [postgres, kafka] = await Promise.allSettled([
    startPostgres({ settings, signal: stop.signal }),
    secure ? startSecured(stop.signal) : startPlain(stop.signal),
  ]);
  try {
    if (postgres.status === 'rejected') throw postgres.reason;
    if (kafka.status === 'rejected') throw kafka.reason;
    const { brokers, secured } = kafka.value;
    const servers = { databaseUrl: postgres.value.url, brokers, secured, signal: stop.signal };
    await Promise.race([use(servers), interrupted]);
  } finally {
    if (postgres.status === 'fulfilled') await postgres.value.remove();
    if (kafka.status === 'fulfilled') await kafka.value.kafka.remove();
  }
}

async function startPlain(signal: AbortSignal): Promise<Awaited<ReturnType<typeof startSecured>>> {
  const kafka = await startKafka({ signal, onProgress: (what) => console.error(`Kafka: ${what} …`) });
  return { kafka, brokers: [kafka.brokers] };
}

main()
  .then((code) => process.exit(code))
  .catch((error: unknown) => {
    console.error(
      error instanceof Error && error.message.startsWith('Unknown option')
        ? `${error.message}\n${USAGE}`
        : describeError(error),
    );
    process.exit((error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') ? 2 : 1);
  });
