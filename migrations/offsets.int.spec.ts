import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createTopics } from '@twinbox/messaging';
import { produce, type TestDatabase, testBrokers, until } from '@twinbox/messaging/testing';
import { createServiceDatabase } from '@twinbox/test-support';
import { SERVICES } from './services.js';

const topic = `offsets-${randomUUID()}`;
const group = `${topic}-group`;

let database: TestDatabase;

/** Runs the command as an operator does. */
async function offsets(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const command = fileURLToPath(new URL('dist/offsets.js', import.meta.url));
  const env = {
    ...process.env,
    KAFKA_BROKERS: testBrokers().join(','),
    DATABASE_URL: database.urlFor('orders', 'orders'),
  };
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [command, ...args], { env });
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

beforeAll(async () => {
  database = await createServiceDatabase();
  await createTopics({ brokers: testBrokers(), clientId: 'test' }, [
    { name: topic, aggregateType: 'x', partitions: 2, retentionMs: 3_600_000, events: {} },
  ]);
  // One send per partition, because a send that one partition rejects is repeated for both.
  const record = { key: 'a', value: '{}' };
  await produce(
    testBrokers(),
    topic,
    Array.from({ length: 3 }, () => ({ ...record, partition: 0 })),
  );
  await produce(testBrokers(), topic, [{ ...record, partition: 1 }]);
});

afterAll(async () => database.drop());

it('shows and moves the offsets of a group in both places, and adds entries to the audit', async () => {
  // Just after Kafka has started, its coordinator accepts no groups for a moment.
  const shown = await until('the group is shown', async () => (await offsets('orders', group, topic)).out);
  expect(shown).toBe(
    `${topic}/0: next offset none in the database, none in Kafka; the topic has offsets 0 to 3\n` +
      `${topic}/1: next offset none in the database, none in Kafka; the topic has offsets 0 to 1\n`,
  );

  const latest = await offsets('orders', group, topic, 'latest', '--actor', 'ops', '--reason', 'skip');
  const back = await offsets('orders', group, topic, '0:2', '--actor', 'ops');
  const byTime = await offsets('orders', group, topic, '2020-01-01T00:00:00Z', '--actor', 'ops');

  expect(latest).toMatchObject({
    code: 0,
    out: expect.stringContaining('/0: next offset 3 in the database, 3 in Kafka'),
  });
  expect(back.out).toContain('/0: next offset 2 in the database, 2 in Kafka');
  expect(back.out).toContain('/1: next offset 1 in the database, 1 in Kafka');
  expect(byTime.out).toContain('/0: next offset 0 in the database, 0 in Kafka');
  const audit = await database.sql('select actor, action, box, letter, reason from orders.messaging_audit order by id');
  expect(audit).toHaveLength(5);
  expect(audit[2]).toEqual({
    actor: 'ops',
    action: 'move',
    box: 'offsets',
    letter: { consumer: group, topic, partition: 0, from: '3', to: '2' },
    reason: null,
  });
});

it.each([
  [
    ['orders', group],
    `offsets: usage: npm run offsets -- ${SERVICES.map(({ schema }) => schema).join('|')} <group> <topic>`,
  ],
  [['other', group, topic], 'offsets: usage:'],
  [['orders', group, topic, 'yesterday'], 'offsets: usage:'],
  [['orders', group, topic, '0:9'], `offsets: ${topic}/0 has the offsets 0 to 3, not 9`],
  [['orders', group, `${topic}-unknown`], 'offsets: This server does not host this topic-partition'],
])('reports the mistake in %j in one line', async (args, line) => {
  const { code, out, err } = await offsets(...args);

  expect({ code, out, lines: err.trim().split('\n') }).toEqual({
    code: 1,
    out: '',
    lines: [expect.stringContaining(line)],
  });
});
