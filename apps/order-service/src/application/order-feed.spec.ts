import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { OrderFeed } from './order-feed.js';
import { FeedSnapshot } from './order-feed-snapshot.js';
import { FeedClosed, type FeedReading, FeedWentBack, OrderFeedSource } from './order-feed-store.js';

class Source extends OrderFeedSource {
  readings = 0;
  failure: Error | undefined;
  isKnown = true;

  override async now(): Promise<FeedSnapshot> {
    if (this.failure) throw this.failure;
    return new FeedSnapshot(10, []);
  }

  override async since(seen: FeedSnapshot): Promise<FeedReading> {
    this.readings++;
    if (this.failure) throw this.failure;
    return { steps: [], seen, isWhole: true };
  }

  override async knows(): Promise<boolean> {
    return this.isKnown;
  }

  override announce(): void {}
  override onAnnounced(): void {}
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

async function follow(source: Source): Promise<OrderFeed> {
  const feed = new OrderFeed(source);
  await feed.subscribe({ all: true });
  return feed;
}

it('P6 leaves a database in trouble alone for longer and longer, however much is committed meanwhile', async () => {
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

  // From 50 ms to half a second between two at least.
  expect(tries).toBeGreaterThan(3);
  expect(tries).toBeLessThan(12);
  expect(source.readings).toBeGreaterThan(afterwards);
});

it('refuses whoever comes while the database is in trouble at once, and takes them again afterwards', async () => {
  const source = new Source();
  const feed = await follow(source);
  source.failure = new Error('away');
  await jest.advanceTimersByTimeAsync(1000);

  await expect(feed.subscribe({ all: true })).rejects.toThrow('away');
  source.failure = undefined;
  await jest.advanceTimersByTimeAsync(2000);

  expect(await feed.subscribe({ all: true })).toBeDefined();
});

it('P8 stops at once, also while it leaves the database alone, and tells whoever comes then', async () => {
  const source = new Source();
  const feed = await follow(source);
  source.failure = new Error('away');
  await jest.advanceTimersByTimeAsync(1000);

  await feed.onApplicationShutdown();

  await expect(feed.subscribe({ all: true })).rejects.toThrow(FeedClosed);
});

it('P2 ends all who follow once the database has lost what they were told, and takes them again at once', async () => {
  const source = new Source();
  const feed = new OrderFeed(source);
  const subscription = await feed.subscribe({ all: true });
  source.failure = new FeedWentBack();

  await jest.advanceTimersByTimeAsync(1100);
  source.failure = undefined;
  const again = await feed.subscribe({ all: true });

  expect(subscription?.isOver).toBe(true);
  expect(again?.isOver).toBe(false);
});

it('P2 does not take who comes back from a place that the database does not know', async () => {
  const source = new Source();
  source.isKnown = false;
  const feed = new OrderFeed(source);

  expect(await feed.subscribe({ all: true }, { seen: new FeedSnapshot(9, []) })).toBeUndefined();
});
