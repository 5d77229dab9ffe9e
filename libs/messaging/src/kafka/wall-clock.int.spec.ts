import { type INestApplication } from '@nestjs/common';
import { CountingLink, REQUEST } from '../../test/counting-link.js';
import { counted, CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { counts, createSandbox, inversions, type Sandbox } from '../../test/sandbox.js';
import { setWallClock } from '../../test/wall-clock.js';
import { produce } from '../testing/topic.js';
import { until } from '../testing/until.js';

const HOUR_MS = 3_600_000;

let sandbox: Sandbox;
const undo: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  sandbox = await createSandbox();
  undo.push(() => sandbox.close());
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  CounterController.next = () => undefined;
});

afterEach(async () => {
  setWallClock(0);
  for (let step = undo.pop(); step; step = undo.pop()) await step();
});

const effects = async () =>
  (await sandbox.database.sql<{ n: number }>('select n from sandbox.effects order by seq')).map(({ n }) => n);

const jumps: [string, number][] = [
  ['back', -3 * HOUR_MS],
  ['forward', 3 * HOUR_MS],
];

it.each(jumps)('P4 P8 a consumer keeps its partitions when the clock is set %s', async (_, aheadMs) => {
  const link = await CountingLink.open(sandbox.options.brokers[0]!);
  undo.push(() => link.close());
  // By the real clock, which is the broker's.
  const timestamp = new Date();
  const send = (n: number) =>
    produce(sandbox.options.brokers, sandbox.consumer.topic.name, [counted(n, { timestamp })]);
  const app: INestApplication = await startCounter(
    { ...sandbox, options: { ...sandbox.options, brokers: [link.broker] } },
    { sessionMs: 1500 },
  );
  undo.push(() => app.close());
  await send(1);
  await until('the first message is handled', async () => (await effects()).length === 1);

  setWallClock(aheadMs);
  const [joins, heartbeats] = [link.sent(REQUEST.joinGroup), link.sent(REQUEST.heartbeat)];

  // More than fit into a session.
  await until('heartbeats go on', () => link.sent(REQUEST.heartbeat) > heartbeats + 6);
  await send(2);
  await until('the next message is handled', async () => (await effects()).length === 2);
  expect(link.sent(REQUEST.joinGroup)).toBe(joins);
  expect(inboxHealth(app)).toMatchObject({ healthy: true, deadLetters: 0 });
});

it('P2 P3 a relay loses and reorders nothing while the clock jumps back and forth', async () => {
  const relay = sandbox.newRelay();
  const outbox = sandbox.outboxOf(relay);
  relay.start();
  const numbers = Array.from({ length: 60 }, (_, n) => n + 1);

  for (const n of numbers) {
    if (n % 5 === 0) setWallClock([3, -3, 24, -24][(n / 5) % 4]! * HOUR_MS);
    await sandbox.add(outbox, `key-${n % 3}`, n);
  }

  await sandbox.drained();
  const published = [0, 1, 2].flatMap((key) => [...new Set(counts(sandbox.topic, `key-${key}`))]);
  expect(published.toSorted((a, b) => a - b)).toEqual(numbers);
  expect(inversions(sandbox.topic)).toEqual([]);
  expect(await sandbox.database.sql('select from sandbox.outbox_parked')).toEqual([]);
  expect(relay.health()).toMatchObject({ healthy: true });
});
