import { type Logger } from '@nestjs/common';
import fc from 'fast-check';
import { type DataSource } from 'typeorm';
import { type Batch } from '../kafka/batch.js';
import { type KafkaRecord } from '../message/message.js';
import { InFlightBatch } from './in-flight-batch.js';
import { inboxWork } from './inbox-work.js';

const topic = { name: 'counts', aggregateType: 'counter', partitions: 1, retentionMs: 1, events: {} };

/** A batch of `count` records in flight, what it resolved, and the switches that abandon it. */
function aBatch(count: number, concurrency = 2) {
  const resolved: string[] = [];
  const warnings: string[] = [];
  const stop = new AbortController();
  const member = { isCurrent: true };
  const records = Array.from({ length: count }, (_, n): KafkaRecord => {
    return {
      topic: topic.name,
      partition: 0,
      offset: String(n),
      timestamp: new Date(0),
      key: null,
      value: null,
      headers: {},
    };
  });
  const batch: Batch = {
    records,
    hasMore: false,
    isCurrent: () => member.isCurrent,
    resolve: ({ offset }) => resolved.push(offset),
  };
  const work = inboxWork(
    'test',
    { consumer: Symbol('counter'), groupId: 'counter', topic, concurrency },
    {
      dataSource: undefined as unknown as DataSource,
      logger: { warn: (line: string) => warnings.push(line) } as unknown as Logger,
      stopping: stop.signal,
      isPaused: () => false,
      handles: () => true,
      handle: () => Promise.resolve(),
    },
  );
  const [first] = records as [KafkaRecord];
  return { inFlight: new InFlightBatch(batch, work), records, first, resolved, warnings, stop, member, work };
}

describe('a batch in flight', () => {
  it('P2 resolves an offset only once all records up to it are settled', () => {
    const { inFlight, records, resolved } = aBatch(5);

    const after = [1, 0, 4, 3, 2].map((n) => {
      inFlight.settled(records[n] as KafkaRecord);
      return resolved.at(-1);
    });

    expect(after).toEqual([undefined, '1', '1', '1', '4']);
  });

  it('P2 has resolved the last record before the first unsettled one, in whatever order they are settled', () => {
    const orders = fc.integer({ min: 1, max: 20 }).chain((count) =>
      fc.shuffledSubarray(
        Array.from({ length: count }, (_, n) => n),
        { minLength: count },
      ),
    );
    fc.assert(
      fc.property(orders, (order) => {
        const { inFlight, records, resolved } = aBatch(order.length);
        const settled = new Set<number>();
        for (const n of order) {
          inFlight.settled(records[n] as KafkaRecord);
          settled.add(n);

          const gap = records.findIndex((_, at) => !settled.has(at));
          const last = (gap < 0 ? records.length : gap) - 1;
          expect(resolved.at(-1)).toBe(last < 0 ? undefined : String(last));
        }
        expect(resolved).toEqual(resolved.toSorted((a, b) => Number(a) - Number(b)));
      }),
    );
  });

  it('P2 resolves nothing once the partition is lost', () => {
    const { inFlight, first, resolved, member } = aBatch(1);

    member.isCurrent = false;
    inFlight.settled(first);

    expect(resolved).toEqual([]);
  });

  it('is abandoned when the partition is lost or the inbox stops', () => {
    const lost = aBatch(1);
    const stopped = aBatch(1);
    expect([lost.inFlight.abandoned, stopped.inFlight.abandoned]).toEqual([false, false]);

    lost.member.isCurrent = false;
    stopped.stop.abort();

    expect([lost.inFlight.abandoned, stopped.inFlight.abandoned]).toEqual([true, true]);
  });
});

describe('a step of a batch', () => {
  it('is repeated until it succeeds, and every failure is logged with the message', async () => {
    const { inFlight, first, warnings } = aBatch(1);
    let tries = 0;

    const result = await inFlight.retry(first, async () => {
      if (++tries === 1) throw new Error('the database is away');
      return Promise.resolve('done');
    });

    expect([result, tries]).toEqual(['done', 2]);
    expect(warnings).toEqual([
      expect.stringMatching(/^Message at counts\/0\/0: the database is away. Retrying in \d+ ms$/),
    ]);
  });

  it('is given up without a result when the inbox stops while it waits for its next attempt', async () => {
    const { inFlight, first, stop } = aBatch(1);
    let tries = 0;

    const result = await inFlight.retry(first, () => {
      tries++;
      stop.abort();
      return Promise.reject(new Error('the database is away'));
    });

    expect([result, tries]).toEqual([undefined, 1]);
  });

  it('does not begin once the batch is abandoned, even if that happens while it waits for a slot', async () => {
    const { inFlight, first, member } = aBatch(1, 1);
    const gate = Promise.withResolvers<void>();
    const blocking = inFlight.retry(first, () => gate.promise);
    let began = false;
    const waiting = inFlight.retry(first, () => Promise.resolve((began = true)));

    member.isCurrent = false;
    gate.resolve();

    await Promise.all([blocking, waiting]);
    expect(began).toBe(false);
  });

  it.each([
    ['a slot', 2],
    ['all slots', 1],
    ['no slot', 5],
  ] as const)('that takes %s runs at most %i at a time with two slots', async (takes, most) => {
    const { inFlight, records } = aBatch(5, 2);
    let [running, max] = [0, 0];

    const steps = records.map((record) =>
      inFlight.retry(
        record,
        async () => {
          max = Math.max(max, ++running);
          await new Promise(setImmediate);
          running--;
        },
        takes,
      ),
    );

    await Promise.all(steps);
    expect(max).toBe(most);
  });

  it('counts as work in flight until it ends, with its latest failure', async () => {
    const { inFlight, first, work } = aBatch(1);
    const [gate, again] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const problems = () => [...work.inFlight].map((clock) => clock.report().problem);
    let tries = 0;

    const step = inFlight.retry(first, () => {
      if (++tries === 1) return Promise.reject(new Error('broken'));
      again.resolve();
      return gate.promise;
    });
    expect(problems()).toEqual([undefined]);
    await again.promise;
    expect(problems()).toEqual(['broken']);
    gate.resolve();
    await step;

    expect(problems()).toEqual([]);
  });
});
