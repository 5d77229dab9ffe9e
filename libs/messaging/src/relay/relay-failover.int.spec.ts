import { type LeaseTiming } from '../poll/lease.js';
import { type Outbox } from '../outbox/outbox.js';
import { Child } from '../../test/child.js';
import { KafkaLink } from '../../test/kafka-link.js';
import { counts, createSandbox, inversions, type Sandbox } from '../../test/sandbox.js';
import { until } from '../testing/until.js';

/** How long it takes until a killed or paused leader is succeeded. */
const SHORT: LeaseTiming = { leaseMs: 1500, renewEveryMs: 300 };
const KEYS = ['a', 'b', 'c', 'd'];

let sandbox: Sandbox;
let child: Child | undefined;

beforeEach(async () => {
  sandbox = await createSandbox();
});

afterEach(async () => {
  await child?.kill();
  child = undefined;
  await sandbox.close();
});

/** Starts a process that prints its relay's role whenever it changes. Its messages have another source than those of the test itself. */
function startChild({ brokers = sandbox.options.brokers } = {}): Child {
  const publishes = sandbox.options.publishes.map((contract) => ({ ...contract, events: {} }));
  const options = { ...sandbox.options, brokers, publishes, consumes: [], service: 'child' };
  return Child.start(
    `
      import { Logger } from '@nestjs/common';
      import { Poll } from './poll/poll.js';
      import { Relay } from './relay/relay.js';
      Logger.overrideLogger(false);
      const options = JSON.parse(process.env.OPTIONS);
      const poll = new Poll(options, undefined, JSON.parse(process.env.TIMING));
      const relay = new Relay(options, poll);
      poll.start([], relay);
      let last;
      setInterval(() => {
        const { role } = relay.health();
        if (role !== last) console.log(role);
        last = role;
      }, 5);`,
    { OPTIONS: JSON.stringify(options), TIMING: JSON.stringify(SHORT) },
  );
}

async function write(outbox: Outbox, from: number, to: number): Promise<void> {
  await Promise.all(
    KEYS.map(async (key) => {
      for (let n = from; n <= to; n++) await sandbox.add(outbox, key, n);
    }),
  );
}

const arePublished = (upTo: number) =>
  until('all are on the topic', () => KEYS.every((key) => new Set(counts(sandbox.topic, key)).size === upTo));

const lease = async () => {
  const [row] = await sandbox.database.sql<{ holder: string; token: string; until: Date }>(
    'select holder, token, expires_at as until from sandbox.relay_lease',
  );
  return row!;
};

/** Waits for that many lease renewals, so that everything the leader has published by now is recorded. */
async function renewals(count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const { until: before } = await lease();
    await until('the lease is renewed', async () => (await lease()).until > before);
  }
}

const ofChild = () => sandbox.topic.records.filter(({ headers }) => headers['ce_source'] === '/child');

it('P2 P3 a standby succeeds a killed leader without losing or reordering messages', async () => {
  child = startChild();
  await child.says('leader');
  const killed = await lease();
  const standby = sandbox.newRelay(undefined, SHORT);
  standby.start();
  const writing = write(sandbox.outboxOf(standby), 1, 200);
  await until('the leader publishes', () => ofChild().length > 100);

  await child.kill();

  await until('the standby leads', () => standby.leads);
  const successor = await lease();
  expect(successor.holder).not.toBe(killed.holder);
  expect(Number(successor.token)).toBe(Number(killed.token) + 1);
  await writing;
  await arePublished(200);
  expect(inversions(sandbox.topic)).toEqual([]);
});

it('P2 P3 a leader paused beyond its lease does not send its batch in flight, which its successor has sent', async () => {
  const link = await KafkaLink.open(sandbox.options.brokers[0]!);
  link.silence();
  const standby = sandbox.newRelay(undefined, SHORT);
  await write(sandbox.outboxOf(standby), 1, 2);
  child = startChild({ brokers: [link.broker] });
  // It connects once to read how many copies the topics have, and once it has something to send.
  await until('it has a batch in flight', () => link.taken > 1);
  await renewals(2);
  child.signal('SIGSTOP');

  standby.start();
  await write(sandbox.outboxOf(standby), 3, 4);
  await arePublished(4);
  link.heal();
  child.signal('SIGCONT');
  await child.says('standby');
  // It leads again only after it has finished its first term.
  await standby.stop();
  await child.says('leader');
  await write(sandbox.outboxOf(standby), 5, 5);

  await arePublished(5);
  expect(ofChild().map(({ headers }) => headers['ce_sequence'])).toEqual(['5', '5', '5', '5']);
  expect(sandbox.topic.records).toHaveLength(5 * KEYS.length);
  expect(inversions(sandbox.topic)).toEqual([]);
  await link.close();
});

it('P2 P3 a leader that was paused in the middle of its work comes back and leads again', async () => {
  child = startChild();
  await child.says('leader');
  const standby = sandbox.newRelay(undefined, SHORT);
  standby.start();
  const outbox = sandbox.outboxOf(standby);
  const writing = write(outbox, 1, 300);
  await until('the leader publishes', () => ofChild().length > 100);

  child.signal('SIGSTOP');
  await until('the standby publishes', () => sandbox.topic.records.length > ofChild().length + 100);
  child.signal('SIGCONT');
  await child.says('standby');
  await standby.stop();
  await child.says('leader');

  await writing;
  await arePublished(300);
  expect(inversions(sandbox.topic)).toEqual([]);
});
