import { FeedSnapshot } from './resume-point.js';
import { type FeedStep } from './ports.js';
import { type FeedBatch, FeedSubscription } from './subscription.js';

/** Seen up to this transaction. */
const upTo = (xid: number) => new FeedSnapshot(xid + 1, []);

const aBatch = (...xids: number[]): FeedBatch => ({
  steps: xids.map((xid) => ({ xid }) as FeedStep),
  before: upTo((xids[0] ?? 1) - 1),
  seen: upTo(xids.at(-1) ?? 0),
});

function aSubscription(): FeedSubscription {
  const subscription = new FeedSubscription({ all: true }, () => undefined);
  subscription.begin(upTo(10));
  return subscription;
}

it('buffers batches until the follower takes them, and lets it wait for the next one', async () => {
  const subscription = aSubscription();
  const { from } = subscription;

  subscription.deliver(aBatch(11, 12));
  const first = await subscription.take(from);
  const second = subscription.take(from);
  subscription.deliver(aBatch(13));

  expect(first).toEqual(aBatch(11, 12));
  expect(await second).toEqual(aBatch(13));
});

it('merges consecutive progress reports into one', async () => {
  const subscription = aSubscription();
  subscription.deliver(aBatch(11));

  subscription.mark(upTo(20));
  subscription.mark(upTo(30));
  const taken = [await subscription.take(subscription.from), await subscription.take(subscription.from)];

  expect(taken).toEqual([aBatch(11), { steps: [], before: upTo(11), seen: upTo(30) }]);
});

it('buffers at most a thousand steps, after which the follower must catch up', async () => {
  const subscription = aSubscription();
  const { from } = subscription;
  const xids = Array.from({ length: 1001 }, (_, index) => 11 + index);

  for (const xid of xids) subscription.deliver(aBatch(xid));
  const tooLate = await subscription.take(from);
  subscription.deliver(aBatch(2000));
  const next = await subscription.take(subscription.from);

  expect(tooLate).toBeUndefined();
  expect(subscription.from).toEqual(upTo(1011));
  expect(next).toEqual(aBatch(2000));
});

it('wakes a waiting follower when the buffer overflows and when the subscription ends', async () => {
  const overrun = aSubscription();
  const ended = aSubscription();
  const waiting = [overrun.take(overrun.from), ended.take(ended.from)];

  overrun.deliver(aBatch(...Array.from({ length: 1001 }, (_, index) => 11 + index)));
  ended.end();

  expect(await Promise.all(waiting)).toEqual([undefined, undefined]);
  ended.deliver(aBatch(11));
  expect(await ended.take(ended.from)).toBeUndefined();
});
