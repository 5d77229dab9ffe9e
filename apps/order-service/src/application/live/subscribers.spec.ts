import { type FeedStep, type SubscriberBatch } from './ports.js';
import { Snapshot } from './resume-point.js';
import { Subscriber } from './subscribers.js';

/** Seen up to this transaction. */
const upTo = (xid: number) => new Snapshot(xid + 1, []);

const aBatch = (...xids: number[]): SubscriberBatch => ({
  steps: xids.map((xid) => ({ xid }) as FeedStep),
  before: upTo((xids[0] ?? 1) - 1),
  seen: upTo(xids.at(-1) ?? 0),
});

function aSubscriber(): Subscriber {
  const subscriber = new Subscriber({ all: true }, () => undefined);
  subscriber.begin(upTo(10));
  return subscriber;
}

it('buffers batches until the subscriber takes them, and lets it wait for the next one', async () => {
  const subscriber = aSubscriber();
  const { from } = subscriber;

  subscriber.deliver(aBatch(11, 12));
  const first = await subscriber.take(from);
  const second = subscriber.take(from);
  subscriber.deliver(aBatch(13));

  expect(first).toEqual(aBatch(11, 12));
  expect(await second).toEqual(aBatch(13));
});

it('merges consecutive progress reports into one', async () => {
  const subscriber = aSubscriber();
  subscriber.deliver(aBatch(11));

  subscriber.mark(upTo(20));
  subscriber.mark(upTo(30));
  const taken = [await subscriber.take(subscriber.from), await subscriber.take(subscriber.from)];

  expect(taken).toEqual([aBatch(11), { steps: [], before: upTo(11), seen: upTo(30) }]);
});

it('buffers at most a thousand steps, after which the subscriber must catch up', async () => {
  const subscriber = aSubscriber();
  const { from } = subscriber;
  const xids = Array.from({ length: 1001 }, (_, index) => 11 + index);

  for (const xid of xids) subscriber.deliver(aBatch(xid));
  const tooLate = await subscriber.take(from);
  subscriber.deliver(aBatch(2000));
  const next = await subscriber.take(subscriber.from);

  expect(tooLate).toBeUndefined();
  expect(subscriber.from).toEqual(upTo(1011));
  expect(next).toEqual(aBatch(2000));
});

it('wakes a waiting subscriber when the buffer overflows and when the subscriber ends', async () => {
  const overrun = aSubscriber();
  const ended = aSubscriber();
  const waiting = [overrun.take(overrun.from), ended.take(ended.from)];

  overrun.deliver(aBatch(...Array.from({ length: 1001 }, (_, index) => 11 + index)));
  ended.end();

  expect(await Promise.all(waiting)).toEqual([undefined, undefined]);
  ended.deliver(aBatch(11));
  expect(await ended.take(ended.from)).toBeUndefined();
});
