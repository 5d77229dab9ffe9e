import { CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { startKafkaOnSmallDisk, whyNoDiskFor } from '../../test/full-disks.js';
import { counts, createSandbox, inversions } from '../../test/sandbox.js';
import { readTopic } from '../testing/topic.js';
import { until } from '../testing/until.js';

const whyNot = await whyNoDiskFor('Kafka');
/** A skipped block has the reason as its title. */
const onSmallDisk = whyNot === undefined ? describe : describe.skip;

const undo: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (let step = undo.pop(); step; step = undo.pop()) await step();
});

onSmallDisk(whyNot ?? 'on a disk of its own', () => {
  it('P2 P3 P5 a full disk of the broker stops it, and everything is published and handled when it is back', async () => {
    const { disk, kafka } = await startKafkaOnSmallDisk(undo);
    const sandbox = await createSandbox({ brokers: [kafka.brokers] });
    undo.push(() => sandbox.close());
    const sql = (text: string) => sandbox.database.sql(text);
    await sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
    CounterController.next = () => undefined;
    const app = await startCounter(sandbox, { maxAttempts: 1 });
    undo.push(() => app.close());
    const relay = sandbox.newRelay();
    const outbox = sandbox.outboxOf(relay);
    relay.start();
    await sandbox.add(outbox, 'a', 1);
    await sandbox.drained();

    await disk.fill();
    let n = 1;
    await until(
      'the relay reports it',
      async () => {
        await sandbox.add(outbox, 'a', ++n);
        return !relay.health().healthy;
      },
      60_000,
    );
    await disk.free();

    await until('Kafka is back', async () => {
      await kafka.start();
      return true;
    });
    await sandbox.add(outbox, 'a', ++n);
    await sandbox.published();
    // The reader of the sandbox may have ended with the broker.
    const topic = await readTopic([kafka.brokers], sandbox.consumer.topic.name);
    undo.push(() => topic.close());
    await topic.caughtUp();
    const numbers = Array.from({ length: n }, (_, index) => index + 1);
    expect([...new Set(counts(topic, 'a'))]).toEqual(numbers);
    expect(inversions(topic)).toEqual([]);
    await until('everything is handled', async () => (await sql('select from sandbox.effects')).length === n);
    expect(await sql('select n from sandbox.effects order by seq')).toEqual(numbers.map((each) => ({ n: each })));
    expect(await sql('select from sandbox.outbox_parked')).toEqual([]);
    expect(await sql('select from sandbox.inbox_parked')).toEqual([]);
    await until('both are healthy', () => inboxHealth(app).healthy && relay.health().healthy);
  });
});
