import { Logger } from '@nestjs/common';
import { jest } from '@jest/globals';
import { type StoredCopies } from '../kafka/topic-copies.js';
import { until } from '../testing/until.js';
import { CopiesWatch } from './copies-watch.js';

const logger = new Logger('test');
const lines = (level: 'warn' | 'log' | 'debug') => jest.spyOn(logger, level).mockImplementation(() => undefined);

let stop: AbortController;
beforeEach(() => (stop = new AbortController()));
afterEach(() => {
  stop.abort();
  jest.restoreAllMocks();
});

/** Starts a watch, and returns it after its first check. */
async function aWatch(brokers: number, ...copies: Omit<StoredCopies, 'topic'>[]): Promise<CopiesWatch> {
  const { promise: checked, resolve } = Promise.withResolvers<void>();
  const read = () => {
    setImmediate(resolve);
    return Promise.resolve({ brokers, copies: copies.map((counts, n) => ({ topic: `topic-${n}`, ...counts })) });
  };
  const watch = new CopiesWatch({ brokers: [], clientId: 'test' }, [], logger, read);
  watch.start(stop.signal);
  await checked;
  return watch;
}

it('warns of each topic of which an acknowledged message may exist only once', async () => {
  const warned = lines('warn');

  const watch = await aWatch(
    3,
    { replicas: 1, minInsyncReplicas: 1 },
    { replicas: 3, minInsyncReplicas: 2 },
    { replicas: 3, minInsyncReplicas: 1 },
  );

  expect(watch.problem).toBe(
    'acks=all means one copy: topic-0 has one replica. Reassign its partitions to more brokers; ' +
      'min.insync.replicas of topic-2 is 1. Set it to 2',
  );
  expect(warned.mock.calls).toEqual([
    [expect.stringMatching(/can lose published messages, because acks=all means one/)],
  ]);
});

it.each<[string, number, Omit<StoredCopies, 'topic'>]>([
  ['two copies acknowledge', 3, { replicas: 3, minInsyncReplicas: 2 }],
  ['the setting may not be read', 3, { replicas: 3, minInsyncReplicas: undefined }],
  ['Kafka has one broker, where nothing can be configured', 1, { replicas: 1, minInsyncReplicas: 1 }],
])('does not warn if %s', async (_, brokers, copies) => {
  const warned = lines('warn');
  lines('log');

  const watch = await aWatch(brokers, copies);

  expect(watch.problem).toBeUndefined();
  expect(warned).not.toHaveBeenCalled();
});

it('mentions once that a single broker keeps one copy', async () => {
  const logged = lines('log');

  const watch = await aWatch(1, { replicas: 1, minInsyncReplicas: 1 });
  watch.start(stop.signal);

  expect(logged.mock.calls).toEqual([[expect.stringContaining('exists once, because Kafka has one broker')]]);
});

it('continues if the topics cannot be read, and stops with a check in flight', async () => {
  const [warned, failed] = [lines('warn'), lines('debug')];
  let checks = 0;
  const failing = new CopiesWatch({ brokers: [], clientId: 'test' }, [], logger, () => {
    checks++;
    return Promise.reject(new Error('not authorized'));
  });

  failing.start(stop.signal);
  await until('it has checked', () => checks === 1);
  stop.abort();
  await failing.close();

  expect(failed).toHaveBeenCalledWith('Cannot read how many copies the topics have: not authorized');
  expect([failing.problem, warned.mock.calls]).toEqual([undefined, []]);
});
