// Measures the figures in docs/benchmarks.md: `npm run bench [-- part…] [--quick]`
import { parseArgs } from 'node:util';
import { startKafka, startPostgres } from '@twinbox/tools';
import { type Figure, printTable } from './support/figures.js';
import { inbox } from './parts/inbox.js';
import { latency } from './parts/latency.js';
import { lists } from './parts/lists.js';
import { live } from './parts/live.js';
import { memory } from './parts/memory.js';
import { million } from './parts/million.js';
import { relay } from './parts/relay.js';
import { saga } from './parts/saga.js';
import { takeover } from './parts/takeover.js';
import { worstInput } from './parts/worst-input.js';
import { writer } from './parts/writer.js';
import { type Servers } from './support/servers.js';

const PARTS: Readonly<Record<string, (servers: Servers) => Promise<Figure[]>>> = {
  relay,
  latency,
  inbox,
  writer,
  memory,
  million,
  takeover,
  saga,
  lists,
  live,
  'worst-input': worstInput,
};

const USAGE = `npm run bench [-- part…] [--quick]\nParts: ${Object.keys(PARTS).join(', ')}. Default: all.`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: { quick: { type: 'boolean' } }, allowPositionals: true });
  const unknown = positionals.filter((name) => !Object.hasOwn(PARTS, name));
  if (unknown.length > 0) {
    console.error(`Unknown part: ${unknown.join(', ')}\n${USAGE}`);
    return 2;
  }
  const wanted = Object.entries(PARTS).filter(([name]) => positionals.length === 0 || positionals.includes(name));

  const figures: Figure[] = [];
  await withServers(async (servers, signal) => {
    for (const [name, part] of wanted) {
      if (signal.aborted) break;
      console.error(`${name} …`);
      figures.push(...(await part({ ...servers, quick: values.quick ?? false })));
    }
  });
  printTable(figures);
  return 0;
}

/** Starts throw-away servers and removes them however this ends. */
async function withServers(
  use: (servers: Omit<Servers, 'quick'>, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        stop.abort();
        reject(new Error(`stopped by ${signal}`));
      });
  });
  const [postgres, kafka] = await Promise.allSettled([
    startPostgres({ signal: stop.signal }),
    startKafka({ signal: stop.signal, onProgress: (what) => console.error(`Kafka: ${what} …`) }),
  ]);
  try {
    if (postgres.status === 'rejected') throw postgres.reason;
    if (kafka.status === 'rejected') throw kafka.reason;
    const servers = { databaseUrl: postgres.value.url, brokers: [kafka.value.brokers] };
    await Promise.race([use(servers, stop.signal), interrupted]);
  } finally {
    if (postgres.status === 'fulfilled') await postgres.value.remove();
    if (kafka.status === 'fulfilled') await kafka.value.remove();
  }
}

main()
  .then((code) => process.exit(code))
  .catch((error: unknown) => {
    console.error(
      error instanceof Error && error.message.startsWith('Unknown option') ? `${error.message}\n${USAGE}` : error,
    );
    process.exit((error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') ? 2 : 1);
  });
