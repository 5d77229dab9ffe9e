import { type Facts, type ParkedFact } from './facts.js';
import { judge } from './judge.js';
import { type LoggedRecord } from './topic-log.js';

/** What judges a run must be able to fail: each check is shown facts that are wrong in one way. */

const COMPLETED = 'order-1';
const CANCELLED = 'order-2';
const PENDING = 'order-3';

/** Three orders that went their lawful ways; each message of the first was delivered twice, the second time late. */
function aRun(change: Partial<Facts> = {}): Facts {
  const order = (id: string, status: string, version: number, payment: string) => ({
    id,
    customerId: `of-${id}`,
    status,
    total: 900,
    version,
    payment: { paymentRequestId: `pay-${id}`, status: payment },
  });
  const request = (orderId: string, status: string, version: number) => ({
    id: `pay-${orderId}`,
    orderId,
    customerId: `of-${orderId}`,
    status,
    amount: 900,
    version,
  });
  const first = [
    aRecord('order.events', 0, COMPLETED, 'OrderPlaced', 1),
    aRecord('order.events', 1, COMPLETED, 'OrderCompleted', 4),
  ];
  const committed = [
    ...first,
    aRecord('order.events', 2, CANCELLED, 'OrderPlaced', 1),
    aRecord('order.events', 3, CANCELLED, 'OrderCancelled', 4),
    aRecord('order.events', 4, PENDING, 'OrderPlaced', 1),
    aRecord('payment.events', 0, COMPLETED, 'PaymentRequested', 1),
    aRecord('payment.events', 1, COMPLETED, 'PaymentSucceeded', 2),
    aRecord('payment.events', 2, CANCELLED, 'PaymentRequested', 1),
    aRecord('payment.events', 3, CANCELLED, 'PaymentFailed', 2),
    aRecord('payment.events', 4, PENDING, 'PaymentRequested', 1),
  ];
  return {
    placings: [COMPLETED, CANCELLED, PENDING].map((orderId) => ({
      customerId: `of-${orderId}`,
      outcome: 'accepted',
      orderId,
    })),
    decisions: [
      { paymentRequestId: `pay-${COMPLETED}`, status: 'SUCCEEDED' },
      { paymentRequestId: `pay-${CANCELLED}`, status: 'FAILED' },
    ],
    orders: [
      order(COMPLETED, 'COMPLETED', 4, 'SUCCEEDED'),
      order(CANCELLED, 'CANCELLED', 4, 'FAILED'),
      order(PENDING, 'PAYMENT_PENDING', 2, 'PENDING'),
    ],
    paymentRequests: [
      request(COMPLETED, 'SUCCEEDED', 2),
      request(CANCELLED, 'FAILED', 2),
      request(PENDING, 'PENDING', 1),
    ],
    setAside: new Set([`pay-${PENDING}`]),
    outbox: committed.map(({ id, topic, key, type, sequence }, n) => ({
      id,
      topic,
      key,
      type,
      sequence,
      position: n + 1,
      pending: false,
    })),
    records: [...committed, ...first.map((record) => ({ ...record, offset: record.offset + 100 }))],
    parked: [],
    relays: [
      { service: 'order-service', terms: 3, gaps: 0 },
      { service: 'payment-service', terms: 1, gaps: 0 },
    ],
    marks: [{ when: 'at rest', consumer: 'order-service', place: 'payment.events/0', marks: 1 }],
    faults: [
      { kind: 'service killed', target: 'payment-service/1', at: 1000 },
      { kind: 'service paused', target: 'payment-service/2', at: 2000 },
      { kind: 'service killed', target: 'payment-service/2', at: 3000 },
    ],
    redelivered: 2,
    processes: ['order-service/1', 'order-service relay/1'],
    stops: [
      { name: 'order-service/1', exit: 0, tookMs: 1500 },
      { name: 'order-service relay/1', exit: 0, tookMs: 200 },
    ],
    links: [
      { name: 'order-service/1 → kafka', connections: 4 },
      { name: 'order-service relay/1 → kafka', connections: 1 },
      // It stood by.
      { name: 'order-service relay/2 → kafka', connections: 0 },
    ],
    complaints: [],
    ...change,
  };
}

function aRecord(topic: string, offset: number, key: string, type: string, sequence: number): LoggedRecord {
  return { topic, partition: 0, offset, key, id: `${topic} ${key} ${type}`, type, sequence };
}

/** A dead letter of a message that was alone in hand when three processes died. */
function aParked(change: Partial<ParkedFact> = {}): ParkedFact {
  const error = 'the process died 3 times while handling it';
  return {
    service: 'payment-service',
    box: 'inbox',
    id: '7',
    key: PENDING,
    error,
    writtenAt: 500,
    deadAt: 4000,
    ...change,
  };
}

/** The first of the items with these fields changed. */
function changed<T>(items: readonly T[], fields: Partial<T>): T[] {
  return items.map((item, index) => (index === 0 ? { ...item, ...fields } : item));
}

const findingsOf = (facts: Facts) =>
  judge(facts).flatMap(({ check, findings }) => findings.map((finding) => `${check}: ${finding}`));

const lawful = aRun();

it('finds nothing in a run that went as it should', () => {
  expect(findingsOf(lawful)).toEqual([]);
});

const BROKEN: readonly [what: string, Partial<Facts>, RegExp][] = [
  ['nothing happened', { placings: [], orders: [], paymentRequests: [], records: [] }, /no order was accepted/],
  [
    'no order was cancelled',
    { orders: lawful.orders.filter(({ status }) => status !== 'CANCELLED') },
    /no order was CANCELLED/,
  ],
  [
    'an accepted order is gone',
    { orders: lawful.orders.slice(1) },
    /order order-1 of of-order-1 was accepted and is not/,
  ],
  ['an accepted order has another id', { orders: changed(lawful.orders, { id: 'other' }) }, /order-1 .* is not there/],
  [
    'a refused order is there',
    { placings: changed(lawful.placings, { outcome: 'refused' }) },
    /an order of of-order-1 was refused and is there/,
  ],
  [
    'an unanswered attempt made two orders',
    {
      placings: changed(lawful.placings, { outcome: 'unanswered' }),
      orders: [...lawful.orders, { ...lawful.orders[0]!, id: 'order-9' }],
    },
    /of-order-1 placed one order and has 2/,
  ],
  ['an order nobody placed', { placings: lawful.placings.slice(1) }, /nobody placed order order-1/],
  [
    'a result that was accepted is forgotten',
    { decisions: changed(lawful.decisions, { status: 'FAILED' }) },
    /pay-order-1 was accepted as FAILED and is SUCCEEDED/,
  ],
  [
    'an order without a request',
    { paymentRequests: lawful.paymentRequests.slice(1) },
    /order-1 has 0 payment requests/,
  ],
  [
    'an order with two requests',
    { paymentRequests: [...lawful.paymentRequests, { ...lawful.paymentRequests[0]!, id: 'pay-again' }] },
    /order-1 has 2 payment requests/,
  ],
  [
    'a request for another amount',
    { paymentRequests: changed(lawful.paymentRequests, { amount: 1 }) },
    /order-1 has another amount/,
  ],
  [
    'a request of no order',
    { paymentRequests: [...lawful.paymentRequests, { ...lawful.paymentRequests[0]!, id: 'p', orderId: 'o' }] },
    /payment request p belongs to no order/,
  ],
  ['an order that stays PLACED', { orders: changed(lawful.orders, { status: 'PLACED' }) }, /order-1 is still PLACED/],
  [
    'a pending order whose payment has ended',
    { orders: changed(lawful.orders, { status: 'PAYMENT_PENDING' }) },
    /order-1 is PAYMENT_PENDING, its payment SUCCEEDED/,
  ],
  [
    'an order that knows another payment',
    { orders: changed(lawful.orders, { payment: { paymentRequestId: 'other', status: 'SUCCEEDED' } }) },
    /order-1 knows another payment/,
  ],
  [
    'an event that was lost',
    { records: lawful.records.filter(({ type }) => type !== 'OrderCancelled') },
    /OrderCancelled of order order-2 on order.events never reached its topic/,
  ],
  [
    'an event of a transaction that was rolled back',
    { records: [...lawful.records, aRecord('order.events', 9, 'ghost', 'OrderPlaced', 1)] },
    /OrderPlaced of order ghost on order.events was raised by nothing/,
  ],
  [
    'a message left in the outbox',
    { outbox: [...lawful.outbox, { ...lawful.outbox[0]!, id: 'forgotten' }] },
    /forgotten, OrderPlaced of order order-1 on order.events, is in the outbox and not on its topic/,
  ],
  [
    'a message on the topic of the other service',
    { outbox: changed(lawful.outbox, { topic: 'payment.events' }) },
    /OrderPlaced of order order-1 on payment.events, is in the outbox and not on its topic/,
  ],
  [
    'a message that nobody committed',
    { records: [...lawful.records, { ...lawful.records[0]!, offset: 200, id: 'ghost' }] },
    /ghost, OrderPlaced of order order-1 on order.events, at 0\/200, is in no outbox/,
  ],
  [
    'a message that was committed as another',
    { outbox: changed(lawful.outbox, { key: CANCELLED }) },
    /OrderPlaced of order order-1 .* was committed as OrderPlaced of order order-2 on order.events, sequence 1/,
  ],
  [
    'messages published in another order than committed, whatever their sequences say',
    {
      outbox: lawful.outbox.map((row) =>
        row.key === CANCELLED && row.type === 'OrderPlaced' ? { ...row, position: 50 } : row,
      ),
    },
    /OrderCancelled of order-2 on order.events, at 0\/3, is behind a later message/,
  ],
  [
    'a pending order that the operators were to decide',
    { setAside: new Set<string>() },
    /order-3 is pending, but not set aside/,
  ],
  [
    'two messages of a key the wrong way round',
    {
      records: lawful.records.map((record) =>
        record.key === CANCELLED && record.type === 'OrderPlaced' ? { ...record, offset: 50 } : record,
      ),
    },
    /OrderPlaced of order-2 on order.events, at 0\/50, is behind a later message/,
  ],
  [
    'the messages of a key on two partitions',
    { records: changed(lawful.records, { partition: 1 }) },
    /order-1 on order.events are spread over 2 partitions/,
  ],
  [
    'a payment heard twice',
    { orders: changed(lawful.orders, { version: 6 }) },
    /order order-1 is COMPLETED in version 6/,
  ],
  [
    'a request decided twice',
    { paymentRequests: changed(lawful.paymentRequests, { version: 3 }) },
    /payment request pay-order-1 is SUCCEEDED in version 3/,
  ],
  [
    'an event raised twice',
    { records: [...lawful.records, { ...lawful.records[0]!, offset: 200, id: 'another' }] },
    /OrderPlaced of order order-1 on order.events was raised 2 times/,
  ],
  [
    'an event raised after one change too many',
    { records: [aRecord('order.events', 1, COMPLETED, 'OrderCompleted', 6), ...lawful.records] },
    /OrderCompleted of order order-1 on order.events has the sequence 6/,
  ],
  [
    'an event committed twice and published once',
    { outbox: [...lawful.outbox, { ...lawful.outbox[0]!, id: 'another' }] },
    /OrderPlaced of order order-1 on order.events was raised 2 times/,
  ],
  [
    'a dead letter',
    { parked: [aParked({ error: 'order-not-found' })] },
    /the inbox of payment-service has a dead letter of order-3: order-not-found/,
  ],
  [
    'a dead letter of more deaths than there were',
    { parked: [aParked({ error: 'the process died 4 times while handling it' })] },
    /a dead letter of order-3: the process died 4 times/,
  ],
  [
    'a dead letter of deaths that came after it',
    { parked: [aParked({ deadAt: 2500 })] },
    /a dead letter of order-3: the process died 3 times/,
  ],
  [
    'a dead letter of deaths that came before its message',
    { parked: [aParked({ writtenAt: 1000 })] },
    /a dead letter of order-3: the process died 3 times/,
  ],
  [
    'a dead letter of deaths of the other service',
    { parked: [aParked({ service: 'order-service' })] },
    /the inbox of order-service has a dead letter of order-3: the process died 3 times/,
  ],
  [
    'a dead letter of deaths of relays, which consume nothing',
    { parked: [aParked()], faults: lawful.faults.map((fault) => ({ ...fault, target: 'payment-service relay/1' })) },
    /a dead letter of order-3: the process died 3 times/,
  ],
  [
    'a dead letter of processes that were only asked to end',
    { parked: [aParked()], faults: lawful.faults.map((fault) => ({ ...fault, kind: 'service terminated' })) },
    /a dead letter of order-3: the process died 3 times/,
  ],
  [
    'a dead letter of an outbox, whatever it says',
    { parked: [aParked({ box: 'outbox' })] },
    /the outbox of payment-service has a dead letter of order-3/,
  ],
  [
    'a dead job',
    { parked: [aParked({ box: 'jobs', key: 'refunds', error: 'no route' })] },
    /the jobs of payment-service has a dead letter of refunds: no route/,
  ],
  [
    'a message that still waits',
    { parked: [aParked({ deadAt: null, error: 'deadlock detected' })] },
    /7 of order-3 waits in the inbox of payment-service: deadlock detected/,
  ],
  [
    'a message that waits behind a letter of the other service',
    { parked: [aParked(), aParked({ service: 'order-service', id: '8', deadAt: null, error: '' })] },
    /8 of order-3 waits in the inbox of order-service: no error/,
  ],
  [
    'a message that waits behind a letter that nothing explains',
    { parked: [aParked({ error: 'order-not-found' }), aParked({ id: '8', deadAt: null, error: '' })] },
    /8 of order-3 waits in the inbox of payment-service/,
  ],
  [
    'a message above the cursor of its relay, or in a gap',
    { outbox: changed(lawful.outbox, { pending: true }) },
    /order.events order-1 OrderPlaced of order.events, at position 1, is not told as published/,
  ],
  [
    'a gap that nobody closes',
    { relays: changed(lawful.relays, { gaps: 32 }) },
    /the relay of order-service has 32 gaps open/,
  ],
  [
    'marks that add up',
    { marks: changed(lawful.marks, { marks: 3 }) },
    /order-service has 3 marks on payment.events\/0 at rest/,
  ],
  [
    'a process that does not obey',
    { stops: [...lawful.stops, { name: 'order-service/1', exit: 'SIGKILL', tookMs: 20_000 }] },
    /order-service\/1 ended with SIGKILL on SIGTERM/,
  ],
  [
    'a process that ends with an error',
    { stops: changed(lawful.stops, { exit: 1 }) },
    /order-service\/1 ended with 1 on SIGTERM/,
  ],
  [
    'a process that takes its time',
    { stops: changed(lawful.stops, { tookMs: 10_200 }) },
    /order-service\/1 took 10.2 s to end on SIGTERM/,
  ],
  ['a process that nobody asked to end', { stops: lawful.stops.slice(1) }, /order-service\/1 was never asked to end/],
  ['that nothing was broken', { faults: [] }, /nothing was broken/],
  ['that nothing was delivered twice', { redelivered: 0 }, /no message was delivered twice on purpose/],
  [
    'a connection past its link',
    { links: changed(lawful.links, { connections: 0 }) },
    /nothing ever went order-service\/1 → kafka/,
  ],
  [
    'two relays neither of which was connected',
    { links: lawful.links.map((link) => ({ ...link, connections: link.name.includes(' relay/') ? 0 : 4 })) },
    /nothing ever went order-service relays → kafka/,
  ],
  ['a service that ended', { complaints: ['order-service/1 ended by itself'] }, /order-service\/1 ended by itself/],
];

it.each(BROKEN)('finds %s', (_, wrong, finding) => {
  expect(findingsOf(aRun(wrong))).toEqual(expect.arrayContaining([expect.stringMatching(finding)]));
});

it('has no check that cannot fail', () => {
  const failed = BROKEN.flatMap(([, wrong]) => judge(aRun(wrong)).filter(({ findings }) => findings.length > 0));

  expect(new Set(failed.map(({ check }) => check))).toEqual(new Set(judge(lawful).map(({ check }) => check)));
});

it('an attempt without an answer may have placed its order, or not', () => {
  const placings = [
    ...changed(lawful.placings, { outcome: 'unanswered' }),
    { customerId: 'of-nothing', outcome: 'unavailable' as const },
  ];

  expect(findingsOf(aRun({ placings }))).toEqual([]);
});

it('a message that dying processes were blamed on leaves its order unfinished, what is behind it waiting, and nothing else wrong', () => {
  const parked = [aParked(), aParked({ id: '8', deadAt: null, error: '' })];
  const isOfIt = ({ topic, key }: { topic: string; key: string }) => topic === 'payment.events' && key === PENDING;
  const stuck = {
    parked,
    paymentRequests: lawful.paymentRequests.filter(({ orderId }) => orderId !== PENDING),
    orders: lawful.orders.map((order) =>
      order.id === PENDING ? { ...order, status: 'PLACED', version: 1, payment: null } : order,
    ),
    records: lawful.records.filter((record) => !isOfIt(record)),
    outbox: lawful.outbox.filter((row) => !isOfIt(row)),
  };

  expect(findingsOf(aRun(stuck))).toEqual([]);
  expect(findingsOf(aRun({ ...stuck, orders: changed(stuck.orders, { version: 9 }) }))).toEqual([
    expect.stringContaining('order order-1 is COMPLETED in version 9'),
  ]);
});

it('a letter of order-service excuses no missing payment request', () => {
  const parked = [aParked({ service: 'order-service' })];
  const faults = lawful.faults.map((fault) => ({ ...fault, target: 'order-service/1' as const }));
  const paymentRequests = lawful.paymentRequests.filter(({ orderId }) => orderId !== PENDING);

  expect(findingsOf(aRun({ parked, faults, paymentRequests }))).toEqual(
    expect.arrayContaining([expect.stringContaining('order order-3 has 0 payment requests')]),
  );
});
