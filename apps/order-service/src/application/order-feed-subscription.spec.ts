import { FeedSnapshot } from './order-feed-snapshot.js';
import { type FeedStep } from './order-feed-store.js';
import { type FeedBatch, type FeedReceiver, FeedSubscription } from './order-feed-subscription.js';

/** Seen up to this transaction. */
const upTo = (xid: number) => new FeedSnapshot(xid + 1, []);

const aBatch = (...xids: number[]): FeedBatch => ({
  steps: xids.map((xid) => ({ xid }) as FeedStep),
  before: upTo((xids[0] ?? 1) - 1),
  seen: upTo(xids.at(-1) ?? 0),
});

function aReceiver() {
  const taken: number[] = [];
  const marks: FeedSnapshot[] = [];
  const receiver: FeedReceiver = {
    take: ({ steps }) => void taken.push(...steps.map(({ xid }) => xid)),
    mark: (seen) => void marks.push(seen),
  };
  return { taken, marks, receiver };
}

function aSubscription(): FeedSubscription {
  const subscription = new FeedSubscription({ all: true }, () => undefined);
  subscription.begin(upTo(10));
  return subscription;
}

it('keeps what comes until its follower has caught up, and then hands it on, and what comes after', () => {
  const subscription = aSubscription();
  const { taken, marks, receiver } = aReceiver();

  subscription.deliver(aBatch(11, 12));
  const isLive = subscription.goLive(subscription.from, subscription.from, receiver);
  subscription.deliver(aBatch(13));

  expect(isLive).toBe(true);
  expect(taken).toEqual([11, 12, 13]);
  expect(marks).toEqual([upTo(12)]);
});

it('does not hand on what the follower has got by itself', () => {
  const subscription = aSubscription();
  const { taken, marks, receiver } = aReceiver();
  subscription.deliver(aBatch(11, 12));
  subscription.deliver(aBatch(13));

  subscription.goLive(subscription.from, new FeedSnapshot(15, [13]), receiver);

  expect(taken).toEqual([13]);
  // What it got is further than what was kept.
  expect(marks).toEqual([new FeedSnapshot(15, [13])]);
});

it('keeps no more than a thousand steps: then the follower has to read on', () => {
  const subscription = aSubscription();
  const { taken, receiver } = aReceiver();
  const { from } = subscription;
  const xids = Array.from({ length: 1001 }, (_, index) => 11 + index);

  for (const xid of xids) subscription.deliver(aBatch(xid));
  const tooEarly = subscription.goLive(from, from, receiver);
  subscription.deliver(aBatch(2000));
  const isLive = subscription.goLive(subscription.from, subscription.from, receiver);

  expect(tooEarly).toBe(false);
  expect(isLive).toBe(true);
  expect(subscription.from).toEqual(upTo(1011));
  expect(taken).toEqual([2000]);
});
