import { connectProducer } from '../kafka/producer.js';
import { type LeaseTiming } from '../poll/lease.js';
import { counts, createSandbox, inversions, type RelayProcess, type Sandbox } from '../../test/sandbox.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await createSandbox();
});

afterEach(async () => {
  await sandbox.close();
});

describe('the relay', () => {
  it('P1 publishes nothing from a transaction that was rolled back', async () => {
    const relay = sandbox.newRelay();
    const outbox = sandbox.outboxOf(relay);
    relay.start();

    const rolledBack = sandbox.dataSource.transaction(async (tx) => {
      await sandbox.add(outbox, 'a', 1, tx);
      throw new Error('changed its mind');
    });
    await expect(rolledBack).rejects.toThrow('changed its mind');
    await sandbox.add(outbox, 'a', 2);

    await until('the later message is published', () => sandbox.topic.ofKey('a').length > 0);
    expect(counts(sandbox.topic, 'a')).toEqual([2]);
  });

  it('P2 publishes a message that was committed after a later one was published', async () => {
    const relay = sandbox.newRelay();
    const outbox = sandbox.outboxOf(relay);
    relay.start();
    const slow = sandbox.dataSource.createQueryRunner();
    await slow.startTransaction();
    await sandbox.add(outbox, 'slow', 1, slow.manager);

    await sandbox.add(outbox, 'quick', 1);
    await until('the later message is published', () => sandbox.topic.ofKey('quick').length > 0);
    await sandbox.drained();
    await slow.commitTransaction();
    await slow.release();

    await until('the late message is published', () => sandbox.topic.ofKey('slow').length > 0);
    await sandbox.drained();
  });

  it('P2 publishes messages that were committed before any relay ran', async () => {
    const outbox = sandbox.outboxOf(sandbox.newRelay());
    for (let n = 1; n <= 1200; n++) await sandbox.add(outbox, `key-${n % 7}`, n);

    sandbox.newRelay().start();
    await sandbox.drained();

    await until('all are on the topic', () => sandbox.topic.records.length >= 1200);
    expect(sandbox.topic.records).toHaveLength(1200);
    expect(inversions(sandbox.topic)).toEqual([]);
  });

  it('P3 keeps the order of each key while two relays come and go', async () => {
    let relays = [sandbox.newRelay(), sandbox.newRelay()];
    relays.forEach((relay) => relay.start());
    const writing = Promise.all(
      ['a', 'b', 'c', 'd'].map(async (key) => {
        for (let n = 1; n <= 150; n++) await sandbox.add(sandbox.outboxOf(relays[n % 2]!), key, n);
      }),
    );

    for (let round = 0; round < 4; round++) {
      const wanted = sandbox.topic.records.length + 50;
      await until('some more are published', () => sandbox.topic.records.length >= Math.min(wanted, 600));
      const [oldest, other] = relays as [(typeof relays)[0], (typeof relays)[0]];
      relays = [other, sandbox.newRelay()];
      relays[1]!.start();
      await oldest.stop();
    }
    await writing;
    await sandbox.drained();

    for (const key of ['a', 'b', 'c', 'd']) {
      await until('all of the key are on the topic', () => new Set(counts(sandbox.topic, key)).size === 150);
    }
    expect(inversions(sandbox.topic)).toEqual([]);
  });

  it('is led by one of two processes, and a standby is healthy', async () => {
    const [first, second] = [sandbox.newRelay(), sandbox.newRelay()];
    first.start();
    await until('the first leads', () => first.health()['role'] === 'leader');
    second.start();
    await until('the second stands by', () => second.health()['role'] === 'standby');

    // It reports nothing else, because a standby has no work that could be stuck.
    await until('it reports nothing else', () => Object.keys(second.health()).join() === 'healthy,role');
    expect(second.health()).toEqual({ healthy: true, role: 'standby' });
    await first.stop();

    await until('the second leads', () => second.health()['role'] === 'leader');
  });

  describe('whose polls are an hour apart', () => {
    const HOURLY: LeaseTiming = { leaseMs: 2 * 3_600_000, renewEveryMs: 3_600_000 };
    // Notifications do not pass through a pooler in transaction mode.
    const newRelay = () => sandbox.newRelay(undefined, HOURLY, { databaseUrl: sandbox.database.directUrl });

    it('is woken by a commit in its own process', async () => {
      const relay = newRelay();
      relay.start();
      await until('it leads', () => relay.health()['role'] === 'leader');

      await sandbox.add(sandbox.outboxOf(relay), 'a', 1);

      await until('it is published', () => sandbox.topic.ofKey('a').length > 0);
    });

    it('is woken by a commit in the process of a standby', async () => {
      const [leader, standby] = [newRelay(), newRelay()];
      leader.start();
      await until('the first leads', () => leader.health()['role'] === 'leader');
      standby.start();
      await until('the second stands by', () => standby.health()['role'] === 'standby');

      await sandbox.add(sandbox.outboxOf(standby), 'a', 1);

      await until('it is published', () => sandbox.topic.ofKey('a').length > 0);
    });

    it('hands over the lease at once when it stops', async () => {
      const [leader, standby] = [newRelay(), newRelay()];
      leader.start();
      await until('the first leads', () => leader.health()['role'] === 'leader');
      standby.start();
      await until('the second stands by', () => standby.health()['role'] === 'standby');

      await leader.stop();
      await sandbox.add(sandbox.outboxOf(standby), 'a', 1);

      await until('it is published', () => sandbox.topic.ofKey('a').length > 0);
      expect(standby.health()).toMatchObject({ role: 'leader', healthy: true });
    });
  });

  it('P2 does not reuse a producer that failed once, and loses nothing', async () => {
    const producers: { closed: boolean; sends: number }[] = [];
    const relay = sandbox.newRelay(async (options) => {
      const real = await connectProducer(options);
      const seen = { closed: false, sends: 0 };
      producers.push(seen);
      return {
        async publish(...args) {
          seen.sends++;
          await real.publish(...args);
          // Kafka has the messages, but its answer to the first producer never arrives.
          if (producers.length === 1) throw new Error('the answer was lost');
        },
        async close() {
          seen.closed = true;
          await real.close();
        },
      };
    });
    const outbox = sandbox.outboxOf(relay);
    relay.start();

    await sandbox.add(outbox, 'a', 1);
    await sandbox.add(outbox, 'a', 2);
    await until('the last is published', () => counts(sandbox.topic, 'a').includes(2));
    await sandbox.drained();

    expect(producers).toEqual([
      { closed: true, sends: 1 },
      { closed: false, sends: expect.any(Number) },
    ]);
    expect(counts(sandbox.topic, 'a').filter((n) => n === 1).length).toBeGreaterThan(1);
    expect(inversions(sandbox.topic)).toEqual([]);
  });

  it('P3 sends nothing that it read in an earlier term of the lease', async () => {
    let relay: RelayProcess;
    let refused: unknown;
    relay = sandbox.newRelay(async (options) => {
      const real = await connectProducer(options);
      return {
        ...real,
        async publish(...args) {
          // Between reading and sending, another relay takes the lease.
          await sandbox.database.sql(
            `update sandbox.relay_lease set holder = gen_random_uuid(), token = token + 1, expires_at = 'infinity'`,
          );
          await until('it knows', () => relay.health()['role'] === 'standby');
          await real.publish(...args).catch((error: unknown) => (refused = error));
          throw new Error('not sent');
        },
      };
    });
    relay.start();

    await sandbox.add(sandbox.outboxOf(relay), 'a', 1);

    await until('the send is refused', () => refused);
    expect(String(refused)).toContain('the lease was lost');
    expect(sandbox.topic.records).toEqual([]);
    expect(await sandbox.database.sql('select from sandbox.outbox')).toHaveLength(1);
  });

  it('sends an envelope that follows the CloudEvents binding for Kafka', async () => {
    const relay = sandbox.newRelay();
    relay.start();

    await sandbox.add(sandbox.outboxOf(relay), 'a', 7);

    await until('it is published', () => sandbox.topic.ofKey('a').length > 0);
    expect(sandbox.topic.records[0]).toMatchObject({
      headers: {
        ce_specversion: '1.0',
        ce_id: expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-7/),
        ce_type: 'Counted',
        ce_source: `/${sandbox.options.service}`,
        ce_dataschema: 'urn:event:Counted:1',
        ce_sequence: '7',
        'content-type': 'application/json',
      },
      value: Buffer.from('{"n":7}'),
    });
  });

  it('publishes batches whose messages are large in total', async () => {
    const relay = sandbox.newRelay();
    const outbox = sandbox.outboxOf(relay);
    const filler = 'x'.repeat(400_000);
    await sandbox.dataSource.transaction(async (tx) => {
      for (let n = 1; n <= 6; n++) {
        const aggregate = { aggregateType: 'counter', aggregateId: 'large', version: n };
        await outbox.add(tx, aggregate, [{ type: 'Counted', data: { n, filler } }]);
      }
    });

    relay.start();

    await until('all are published', () => sandbox.topic.ofKey('large').length === 6);
    expect(counts(sandbox.topic, 'large')).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe('the outbox', () => {
  const aggregate = { aggregateType: 'counter', aggregateId: 'a', version: 3 };

  it('adds several events in order, numbered up to the version of the aggregate', async () => {
    const outbox = sandbox.outboxOf(sandbox.newRelay());
    const events = [1, 2, 3].map((n) => ({ type: 'Counted', data: { n } }));

    await sandbox.dataSource.transaction((tx) => outbox.add(tx, aggregate, events));

    const rows = await sandbox.database.sql('select sequence, payload from sandbox.outbox order by position');
    expect(rows).toEqual([1, 2, 3].map((n) => ({ sequence: String(n), payload: `{"n":${n}}` })));
  });

  it.each([
    ['outside a transaction', 'open transaction', false, aggregate, { type: 'Counted', data: {} }],
    [
      'an aggregate type without a topic',
      'No topic',
      true,
      { ...aggregate, aggregateType: 'x' },
      { type: 'Counted', data: {} },
    ],
    ['an event type without a contract', 'does not define', true, aggregate, { type: 'toString', data: {} }],
    ['an event that is too large', 'bytes', true, aggregate, { type: 'Counted', data: { a: 'x'.repeat(600_000) } }],
  ])('rejects %s', async (_, message, inTransaction, ref, event) => {
    const outbox = sandbox.outboxOf(sandbox.newRelay());

    const adding = inTransaction
      ? sandbox.dataSource.transaction((tx) => outbox.add(tx, ref, [event]))
      : outbox.add(sandbox.dataSource.manager, ref, [event]);

    await expect(adding).rejects.toThrow(message);
    expect(await sandbox.database.sql('select from sandbox.outbox')).toEqual([]);
  });
});
