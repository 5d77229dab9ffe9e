import { Logger } from '@nestjs/common';
import { jest } from '@jest/globals';
import { type CopiesReport, type StoredCopies } from '../kafka/topic-copies.js';
import { until } from '../testing/until.js';
import { REFUSED } from '../errors.js';
import { CopiesWatch } from './copies-watch.js';

const logger = new Logger('test');
const lines = (level: 'warn' | 'log' | 'debug') => jest.spyOn(logger, level).mockImplementation(() => undefined);

let stop: AbortController;
beforeEach(() => (stop = new AbortController()));
afterEach(() => {
  stop.abort();
  jest.restoreAllMocks();
});

const SAFE = { replicas: 3, minInsyncReplicas: 2 };
const AT_RISK = { replicas: 3, minInsyncReplicas: 1 };
const SOON = { retryMs: 1, everyMs: 1 };
const NEVER = 2 ** 31 - 1;

type Counts = Omit<StoredCopies, 'topic'>;

function aReport(brokers: number, ...copies: Counts[]): CopiesReport {
  return { brokers, complete: true, copies: copies.map((counts, n) => ({ topic: `topic-${n}`, ...counts })) };
}

/** A watch whose reads return or throw these reports one after the other. After the last one, reads do not end. */
function watchOf(reports: readonly (CopiesReport | Error)[], pauses?: typeof SOON) {
  let reads = 0;
  const read = (): Promise<CopiesReport> => {
    const report = reports[reads++];
    if (report === undefined) return new Promise(() => undefined);
    return report instanceof Error ? Promise.reject(report) : Promise.resolve(report);
  };
  const watch = new CopiesWatch({ brokers: [], clientId: 'test' }, ['topic-0'], logger, read, pauses);
  watch.start(stop.signal);
  return { watch, reads: () => reads };
}

/** Starts a watch, and returns it after its checks have taken these reports. */
async function aWatch(...reports: (CopiesReport | Error)[]): Promise<CopiesWatch> {
  const { watch, reads } = watchOf(reports, SOON);
  await until('it has checked', () => reads() > reports.length);
  return watch;
}

it('P9 warns of each topic of which an acknowledged message may exist only once', async () => {
  const warned = lines('warn');

  const watch = await aWatch(aReport(3, { replicas: 1, minInsyncReplicas: 1 }, SAFE, AT_RISK));

  expect(watch.problem).toBe(
    'acks=all means one copy: topic-0 has one replica. Reassign its partitions to more brokers; ' +
      'min.insync.replicas of topic-2 is 1. Set it to 2',
  );
  expect(warned.mock.calls).toEqual([
    [expect.stringMatching(/can lose published messages, because acks=all means one/)],
  ]);
});

it.each<[string, number, Counts]>([
  ['two copies acknowledge', 3, SAFE],
  ['the setting may not be read', 3, { replicas: 3, minInsyncReplicas: undefined }],
  ['Kafka has one broker, where nothing can be configured', 1, { replicas: 1, minInsyncReplicas: 1 }],
])('does not warn if %s', async (_, brokers, copies) => {
  const warned = lines('warn');
  lines('log');

  const watch = await aWatch(aReport(brokers, copies));

  expect(watch.problem).toBeUndefined();
  expect(warned).not.toHaveBeenCalled();
});

it('mentions once that a single broker keeps one copy', async () => {
  const logged = lines('log');
  const single = aReport(1, { replicas: 1, minInsyncReplicas: 1 });

  const watch = await aWatch(single, single);
  watch.start(stop.signal);

  expect(logged.mock.calls).toEqual([[expect.stringContaining('exists once, because Kafka has one broker')]]);
});

it('does not take one broker for all of them if something could not be read', async () => {
  const logged = lines('log');

  await aWatch({ ...aReport(1, SAFE), complete: false });

  expect(logged).not.toHaveBeenCalled();
});

it('P9 reports a risk until it is removed, warning once, even if single topics or all of them cannot be read meanwhile', async () => {
  const warned = lines('warn');
  lines('debug');
  const atRisk = aReport(3, AT_RISK);
  const incomplete = { brokers: 1, complete: false, copies: [] };

  const before = await aWatch(atRisk, new Error('not authorized'), incomplete, atRisk);
  const after = await aWatch(atRisk, aReport(3, SAFE));

  expect(before.problem).toContain('min.insync.replicas of topic-0 is 1');
  expect(after.problem).toBeUndefined();
  expect(warned).toHaveBeenCalledTimes(2);
});

it('P9 tries again soon until the first check has succeeded, and then seldom', async () => {
  const [warned, failed] = [lines('warn'), lines('debug')];
  const away = new Error('not authorized');

  const { watch, reads } = watchOf([away, away, aReport(3, AT_RISK), away], { retryMs: 1, everyMs: NEVER });
  await until('it reports the risk', () => watch.problem);

  expect(reads()).toBe(3);
  const line = 'Cannot read how many copies the topics have: not authorized';
  expect(failed.mock.calls).toEqual([[line], [line]]);
  expect(warned).toHaveBeenCalledTimes(1);
});

describe('a client that Kafka refuses', () => {
  const refusal = Object.assign(new Error('wrong password'), { code: REFUSED });

  it('P9 is reported, with one warning', async () => {
    const [warned] = [lines('warn'), lines('debug')];

    const watch = await aWatch(refusal, refusal);

    expect(watch.refusal).toBe('wrong password');
    expect(warned.mock.calls).toEqual([['Cannot publish: wrong password']]);
  });

  it('P9 is not reported any more once it is accepted', async () => {
    lines('warn');

    const watch = await aWatch(refusal, aReport(3, SAFE));

    expect(watch.refusal).toBeUndefined();
  });
});

it('stops with a check in flight, and checks nothing without topics', async () => {
  const { watch, reads } = watchOf([]);
  let others = 0;
  const none = new CopiesWatch({ brokers: [], clientId: 'test' }, [], logger, () => {
    others++;
    return Promise.reject(new Error('not authorized'));
  });
  none.start(stop.signal);

  stop.abort();
  await Promise.all([watch.close(), none.close()]);

  expect([reads(), others, watch.problem]).toEqual([1, 0, undefined]);
});
