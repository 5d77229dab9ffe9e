import { type OperationRequest } from '@twinbox/messaging';
import { until } from '@twinbox/messaging/testing';
import { type OperationsProcessOptions, type OperationsResult } from '../processes/operations.js';
import { startChild } from '../support/child.js';
import { type Figure } from '../support/figures.js';
import { createWorld, seed, type Servers, type World } from '../support/servers.js';

const LIMIT_MS = 120_000;

/** Measures bulk actions on the dead letters of a consumer whose handler was broken and is fixed. */
export async function operations(servers: Servers): Promise<Figure[]> {
  const letters = servers.quick ? 1000 : 10_000;
  const beginRound = servers.rounds(2);
  const world = await createWorld(servers);
  try {
    await world.database.sql('create table bench.notes (key text primary key, n integer not null)');
    await world.database.sql(`insert into bench.notes select 'key-' || n, 0 from generate_series(0, 19999) as n`);
    beginRound('retrying');
    const retried = await measure(world, letters, 'retry-letters');
    beginRound('discarding');
    const discarded = await measure(world, letters, 'discard-letters');
    const [row] = await world.database.sql<{ handled: number }>('select sum(n)::int as handled from bench.notes');
    if (row?.handled !== letters) throw new Error(`${row?.handled} messages were handled instead of ${letters}`);
    const seconds = (ms: number) => (ms / 1000).toFixed(1);
    return [
      { what: `retrying ${letters} dead letters, s`, value: seconds(retried.operationMs), goal: '≤ 60' },
      { what: '  until all have been processed, s', value: seconds(retried.processedMs), goal: '≤ 60' },
      { what: `discarding ${letters} dead letters, s`, value: seconds(discarded.operationMs), goal: '≤ 60' },
    ];
  } finally {
    await world.close();
  }
}

async function measure(world: World, letters: number, kind: OperationRequest['kind']): Promise<OperationsResult> {
  const { databaseUrl, brokers, secured, name } = world;
  const place = { databaseUrl, brokers, secured, name };
  await seed(world, letters);
  const broken = await startChild('operations', place);
  await until(
    'all messages are dead letters',
    async () => {
      const [row] = await world.database.sql<{ dead: number }>(
        'select count(*)::int as dead from bench.inbox_parked where dead_at is not null',
      );
      return row?.dead === letters;
    },
    LIMIT_MS,
  );
  await broken.stop();
  const request: OperationRequest = { kind, filter: { box: 'inbox', all: true } };
  const options: OperationsProcessOptions = { ...place, request };
  const result = await (await startChild<OperationsResult>('operations', options)).result;
  if (result.done !== letters) throw new Error(`The operation handled ${result.done} letters instead of ${letters}`);
  return result;
}
