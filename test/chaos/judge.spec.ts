import { type Facts, judge } from './judge.js';
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
    outbox: [`order.events ${COMPLETED} OrderPlaced`],
    records: [
      ...first,
      ...first.map((record) => ({ ...record, offset: record.offset + 100 })),
      aRecord('order.events', 2, CANCELLED, 'OrderPlaced', 1),
      aRecord('order.events', 3, CANCELLED, 'OrderCancelled', 4),
      aRecord('order.events', 4, PENDING, 'OrderPlaced', 1),
      aRecord('payment.events', 0, COMPLETED, 'PaymentRequested', 1),
      aRecord('payment.events', 1, COMPLETED, 'PaymentSucceeded', 2),
      aRecord('payment.events', 2, CANCELLED, 'PaymentRequested', 1),
      aRecord('payment.events', 3, CANCELLED, 'PaymentFailed', 2),
      aRecord('payment.events', 4, PENDING, 'PaymentRequested', 1),
    ],
    deadLetters: [],
    complaints: [],
    ...change,
  };
}

function aRecord(topic: string, offset: number, key: string, type: string, sequence: number): LoggedRecord {
  return { topic, partition: 0, offset, key, id: `${topic} ${key} ${type}`, type, sequence };
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

it.each<[string, Partial<Facts>, RegExp]>([
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
    /OrderCancelled of order order-2 never reached its topic/,
  ],
  [
    'an event of a transaction that was rolled back',
    { records: [...lawful.records, aRecord('order.events', 9, 'ghost', 'OrderPlaced', 1)] },
    /OrderPlaced of order ghost on order.events was raised by nothing/,
  ],
  ['a message left in the outbox', { outbox: ['forgotten'] }, /forgotten is in the outbox and not on its topic/],
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
    /OrderCompleted of order order-1 has the sequence 6/,
  ],
  [
    'a dead letter',
    { deadLetters: [{ table: 'orders.inbox_parked', key: COMPLETED, error: 'order-not-found' }] },
    /orders.inbox_parked has a dead letter of order-1: order-not-found/,
  ],
  ['a service that ended', { complaints: ['order-service/1 ended by itself'] }, /order-service\/1 ended by itself/],
])('finds %s', (_, wrong, finding) => {
  expect(findingsOf(aRun(wrong))).toEqual(expect.arrayContaining([expect.stringMatching(finding)]));
});

it('an attempt without an answer may have placed its order, or not', () => {
  const placings = [
    ...changed(lawful.placings, { outcome: 'unanswered' }),
    { customerId: 'of-nothing', outcome: 'unavailable' as const },
  ];

  expect(findingsOf(aRun({ placings }))).toEqual([]);
});

it('a message that a dying process was blamed on leaves its order unfinished, and nothing else wrong', () => {
  const deadLetters = [{ table: 'payments.inbox_parked', key: PENDING, error: 'Crashed 3 times while handled alone' }];
  const paymentRequests = lawful.paymentRequests.filter(({ orderId }) => orderId !== PENDING);
  const orders = lawful.orders.map((order) =>
    order.id === PENDING ? { ...order, status: 'PLACED', version: 1, payment: null } : order,
  );
  const records = lawful.records.filter(({ topic, key }) => topic !== 'payment.events' || key !== PENDING);

  expect(findingsOf(aRun({ deadLetters, orders, paymentRequests, records }))).toEqual([]);
  expect(findingsOf(aRun({ deadLetters, orders: changed(orders, { version: 9 }), paymentRequests, records }))).toEqual([
    expect.stringContaining('order order-1 is COMPLETED in version 9'),
  ]);
});
