import { Delivery, type Listener } from './delivery.js';
import { type Feed } from './feed.js';
import { type FeedBatch, FeedHistory, type FeedStep, type HistoryPage } from './ports.js';
import { type ResumePoint, type ScanPosition, Snapshot, type WatchedOrders } from './resume-point.js';
import { Subscriber } from './subscribers.js';

const COUNT = 3000;
const LAST_XID = 100_000;
const ORDER = '01939d3c-2f4a-7c3e-9d55-000000000000';

/** Steps whose transactions committed slightly out of order. */
function aTimeline(orders: number): FeedStep[] {
  return Array.from({ length: COUNT }, (_, index) => {
    const xid = index === COUNT - 1 ? LAST_XID : 100 + (index ^ 5);
    const orderId = ORDER.slice(0, -4) + (index % orders).toString(16).padStart(4, '0');
    return { position: index + 1, orderId, customerId: 'ada', xid } as FeedStep;
  });
}

/** Every step is committed. */
class History extends FeedHistory {
  constructor(private readonly timeline: readonly FeedStep[]) {
    super();
  }

  override async since(seen: Snapshot): Promise<FeedBatch> {
    const unseen = this.timeline.filter(({ xid }) => !seen.sees(xid)).toSorted((a, b) => a.xid - b.xid);
    const steps = unseen.slice(0, 1000);
    const isWhole = unseen.length <= 1000;
    return {
      steps: steps.toSorted((a, b) => a.position - b.position),
      seen: seen.after([], steps.at(-1)?.xid, isWhole),
      isWhole,
    };
  }

  override async ofCustomer(_: string, seen: Snapshot, after: ScanPosition): Promise<HistoryPage> {
    const key = ({ orderId, position }: ScanPosition) => orderId + String(position).padStart(20, '0');
    const unseen = this.timeline
      .filter((step) => !seen.sees(step.xid) && key(step) > key(after))
      .toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
    const steps = unseen.slice(0, 1000);
    return { steps, next: unseen.length > 1000 ? steps.at(-1) : undefined };
  }

  override ofOrder(orderId: string, seen: Snapshot, after: ScanPosition): Promise<HistoryPage> {
    return this.ofCustomer('', seen, { ...after, orderId });
  }

  override async countSince(seen: Snapshot): Promise<number> {
    return this.timeline.filter(({ xid }) => !seen.sees(xid)).length;
  }

  override countOfCustomer(_: string, seen: Snapshot): Promise<number> {
    return this.countSince(seen);
  }

  override countOfOrder(_: string, seen: Snapshot): Promise<number> {
    return this.countSince(seen);
  }

  override async newestOf(): Promise<FeedStep | undefined> {
    return undefined;
  }
}

function aDelivery(timeline: readonly FeedStep[]) {
  const seen = new Snapshot(LAST_XID + 1, []);
  const feed = {
    subscribe: async (watched: WatchedOrders, since?: ResumePoint) => {
      const subscriber = new Subscriber(watched, () => undefined, since);
      subscriber.begin(seen);
      return subscriber;
    },
  };
  return new Delivery(feed as unknown as Feed, new History(timeline));
}

it.each([
  ['all orders', { all: true }, 500],
  ['a customer after a long absence', { customerId: 'ada' }, 500],
  ['one order', { orderId: ORDER }, 1],
] as const)(
  'P2 %s: a client that is cut off after every 150 steps receives all of them by resuming',
  async (_, watched, orders) => {
    const timeline = aTimeline(orders);
    const delivery = aDelivery(timeline);
    const got = new Set<number>();
    let point: ResumePoint = { seen: new Snapshot(50, []) };
    let resumes = 0;

    while (got.size < COUNT && resumes < 100) {
      resumes++;
      const subscriber = await delivery.join(watched, point);
      let sent = 0;
      const listener: Listener = {
        send(step, resume) {
          if (listener.closed) return;
          got.add(step.position);
          point = resume;
          sent++;
        },
        mark(resume) {
          if (!listener.closed) point = resume;
        },
        ready: async () => undefined,
        end: () => undefined,
        caughtUp: () => undefined,
        get closed() {
          return sent >= 150 || got.size === COUNT;
        },
      };
      await delivery.serve(subscriber!, listener);
    }

    expect(got.size).toBe(COUNT);
    // A few steps arrive twice, where transactions overtook each other.
    expect(resumes).toBeLessThan(1.2 * (COUNT / 150));
  },
);

it('sends at most a hundred steps before it waits for the client', async () => {
  const delivery = aDelivery(aTimeline(500));
  let sinceReady = 0;
  let most = 0;
  let sent = 0;

  const subscriber = await delivery.join({ all: true }, { seen: new Snapshot(50, []) });
  await delivery.serve(subscriber!, {
    send() {
      sent++;
      most = Math.max(most, ++sinceReady);
    },
    mark: () => undefined,
    async ready() {
      sinceReady = 0;
    },
    end: () => undefined,
    caughtUp: () => undefined,
    get closed() {
      return sent === COUNT;
    },
  });

  expect(most).toBe(100);
});

it('P2 does not continue a scan over other orders, because steps would be lost', async () => {
  const timeline = aTimeline(500);
  const delivery = aDelivery(timeline);
  const upTo = new Snapshot(LAST_XID + 1, []);
  const scan = { over: 'order', upTo, orderId: ORDER, position: COUNT } as const;
  const got = new Set<number>();

  const subscriber = await delivery.join({ all: true }, { seen: new Snapshot(50, []), scan });
  await delivery.serve(subscriber!, {
    send: ({ position }) => void got.add(position),
    mark: () => undefined,
    ready: async () => undefined,
    end: () => undefined,
    caughtUp: () => undefined,
    get closed() {
      return got.size === COUNT;
    },
  });

  expect(got.size).toBe(COUNT);
});

it.each([
  ['all orders', { all: true }, {}],
  ['a customer', { customerId: 'ada' }, {}],
  ['one order', { orderId: ORDER }, {}],
  ['a customer, although the scan claims to be at its end', { customerId: 'ada' }, { over: 'customer' }],
  ['one order, although the scan claims to be at its end', { orderId: ORDER }, { over: 'order' }],
] as const)('P7 counts what a client of %s has missed', async (_, watched, claim) => {
  const delivery = aDelivery(aTimeline(1));
  const seen = new Snapshot(50, []);
  const scan = 'over' in claim ? { ...claim, upTo: seen, orderId: ORDER, position: COUNT } : undefined;

  const begun = await delivery.join(watched, undefined);
  const resumed = await delivery.join(watched, { seen, ...(scan && { scan }) });

  expect(await delivery.missed(begun!, 10_000)).toBe(0);
  expect(await delivery.missed(resumed!, 10_000)).toBeGreaterThanOrEqual(COUNT);
});
