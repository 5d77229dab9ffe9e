import { until } from '@twinbox/messaging/testing';
import { startChild } from '../support/child.js';
import { type Figure, ratio, spread } from '../support/figures.js';
import { type BareOptions, type BareResult } from '../processes/bare-producer.js';
import { type InboxProcessOptions } from '../processes/inbox.js';
import { createWorld, type Servers } from '../support/servers.js';
import { cpuFigures, cpuOf, type CpuPerMessage } from '../support/usage.js';

/** Compares many messages per transaction with one, using a handler that makes one UPDATE. */
export async function inbox(servers: Servers): Promise<Figure[]> {
  const messages = servers.quick ? 4000 : 40_000;
  const [grouped, single]: [Handled[], Handled[]] = [[], []];
  const rounds = servers.quick ? 1 : 3;
  const beginRound = servers.rounds(rounds);
  for (let round = 0; round < rounds; round++) {
    beginRound();
    single.push(await handle(servers, messages / 2, {}));
    grouped.push(await handle(servers, messages, GROUPED));
  }
  const rates = (rounds: readonly Handled[]) => rounds.map(({ perSecond }) => perSecond);
  return [
    { what: 'inbox, one transaction per message, messages/s', value: spread(rates(single)) },
    ...cpuFigures(single.map(({ cpu }) => cpu)),
    { what: 'inbox, group commit, messages/s', value: spread(rates(grouped)), goal: '≥ 8,000' },
    ...cpuFigures(grouped.map(({ cpu }) => cpu)),
    {
      what: 'inbox, group commit / one transaction per message',
      value: ratio(rates(grouped), rates(single)),
      goal: '≥ 3',
    },
  ];
}

interface Handled {
  readonly perSecond: number;
  readonly cpu: CpuPerMessage | undefined;
}

const GROUPED = { groupCommit: true };

async function handle(servers: Servers, messages: number, options: InboxProcessOptions['inbox']): Promise<Handled> {
  const world = await createWorld(servers);
  try {
    await world.database.sql('create table bench.notes (key text primary key, n integer not null)');
    await world.database.sql(`insert into bench.notes select 'key-' || n, 0 from generate_series(0, 19999) as n`);
    const bare: BareOptions = {
      brokers: servers.brokers,
      secured: servers.secured,
      topic: world.name,
      messages,
      headers: true,
    };
    await (
      await startChild<BareResult>('bare-producer', bare)
    ).result;

    const { databaseUrl, brokers, secured, name } = world;
    const process: InboxProcessOptions = { databaseUrl, brokers, secured, name, inbox: options };
    const child = await startChild('inbox', process);
    // Measured from the first tenth on, because joining the group takes time that is not of interest.
    const handled = async (atLeast: number) => {
      const count = await until(
        `${atLeast} messages are processed`,
        async () => {
          const [row] = await world.database.sql<{ count: string }>('select count(*) from bench.inbox');
          return Number(row?.count) >= atLeast && Number(row?.count);
        },
        300_000,
      );
      return { count, at: performance.now() };
    };
    const first = await handled(messages / 10);
    const cpuPerMessage = await cpuOf(servers, { consumer: [child.pid] });
    const last = await handled(messages);
    const cpu = await cpuPerMessage(last.count - first.count);
    await child.stop();
    const [effects] = await world.database.sql<{ sum: string }>('select sum(n) from bench.notes');
    if (Number(effects?.sum) !== messages) throw new Error(`${effects?.sum} effects of ${messages} messages`);
    return { perSecond: ((last.count - first.count) / (last.at - first.at)) * 1000, cpu };
  } finally {
    await world.close();
  }
}
