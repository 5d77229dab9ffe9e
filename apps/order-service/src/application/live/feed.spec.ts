import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Feed } from './feed.js';
import { type FeedBatch, FeedClosed, FeedSource, FeedWentBack } from './ports.js';
import { Snapshot } from './resume-point.js';

class Source extends FeedSource {
  readings = 0;
  failure: Error | undefined;
  isKnown = true;

  override async now(): Promise<Snapshot> {
    if (this.failure) throw this.failure;
    return new Snapshot(10, []);
  }

  override async since(seen: Snapshot): Promise<FeedBatch> {
    this.readings++;
    if (this.failure) throw this.failure;
    return { steps: [], seen, isWhole: true };
  }

  override async knows(): Promise<boolean> {
    return this.isKnown;
  }

  override announce(): void {}
  override onAnnounced(): void {}
  override announceTicketUsed(): void {}
  override onTicketUsed(): void {}
  override async close(): Promise<void> {}
}

beforeEach(() => {
  jest.useFakeTimers();
  Logger.overrideLogger(false);
});
afterEach(() => {
  jest.useRealTimers();
  Logger.overrideLogger(undefined as never);
});

async function follow(source: Source): Promise<Feed> {
  const feed = new Feed(source);
  await feed.subscribe({ all: true });
  return feed;
}

it('P6 backs off from a failing database, however much is committed meanwhile', async () => {
  const source = new Source();
  const feed = await follow(source);
  source.failure = new Error('away');
  await jest.advanceTimersByTimeAsync(1000);
  const { readings } = source;

  for (let ms = 0; ms < 4000; ms++) {
    feed.committed();
    await jest.advanceTimersByTimeAsync(1);
  }
  const tries = source.readings - readings;
  source.failure = undefined;
  await jest.advanceTimersByTimeAsync(1000);
  const afterwards = source.readings;
  feed.committed();
  await jest.advanceTimersByTimeAsync(20);

  // The pause between attempts grows from at least 50 ms to at least half a second.
  expect(tries).toBeGreaterThan(3);
  expect(tries).toBeLessThan(12);
  expect(source.readings).toBeGreaterThan(afterwards);
});

it('rejects new subscribers at once while the database is failing, and accepts them afterwards', async () => {
  const source = new Source();
  const feed = await follow(source);
  source.failure = new Error('away');
  await jest.advanceTimersByTimeAsync(1000);

  await expect(feed.subscribe({ all: true })).rejects.toThrow('away');
  source.failure = undefined;
  await jest.advanceTimersByTimeAsync(2000);

  expect(await feed.subscribe({ all: true })).toBeDefined();
});

it('P8 stops at once, even while it backs off, and rejects new subscribers from then on', async () => {
  const source = new Source();
  const feed = await follow(source);
  source.failure = new Error('away');
  await jest.advanceTimersByTimeAsync(1000);

  await feed.onApplicationShutdown();

  await expect(feed.subscribe({ all: true })).rejects.toThrow(FeedClosed);
});

it('P2 ends all subscriptions once the database has lost steps that were sent, and accepts new ones at once', async () => {
  const source = new Source();
  const feed = new Feed(source);
  const subscriber = await feed.subscribe({ all: true });
  source.failure = new FeedWentBack();

  await jest.advanceTimersByTimeAsync(1100);
  source.failure = undefined;
  const again = await feed.subscribe({ all: true });

  expect(subscriber?.isOver).toBe(true);
  expect(again?.isOver).toBe(false);
});

it('P2 rejects a subscriber that resumes from a point that the database does not know', async () => {
  const source = new Source();
  source.isKnown = false;
  const feed = new Feed(source);

  expect(await feed.subscribe({ all: true }, { seen: new Snapshot(9, []) })).toBeUndefined();
});
