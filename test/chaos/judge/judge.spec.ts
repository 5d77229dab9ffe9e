import {
  type Facts,
  type OrderFact,
  type ParkedFact,
  type ParkingFact,
  type PaymentRequestFact,
  type StepFact,
} from './facts.js';
import { judge } from './judge.js';
import { PUBLISHED } from './judge-timelines.js';
import { type LoggedRecord } from '../system/topic-log.js';

/** Every check must be able to fail: each is given facts that are wrong in one way. */

const FINISHED = 'order-1';
const EXPIRED = 'order-2';
const REFUNDED = 'order-3';
const DRAFT = 'order-4';
const CHARGED = 'order-5';
const WITHDRAWN = 'order-6';

const EXPIRES_AT = 20_000;

/** A line of a timeline. Its message is its own event by default. */
type Line = readonly [type: string, status: string, more?: Partial<StepFact>];

const ORDERS: Readonly<Record<string, readonly Line[]>> = {
  [FINISHED]: [
    ['OrderPlaced', 'PLACED'],
    ['PaymentRequested', 'PAYMENT_PENDING'],
    ['PaymentSucceeded', 'PAYMENT_PENDING'],
    ['OrderCompleted', 'COMPLETED'],
    ['OrderFinished', 'FINISHED'],
  ],
  [EXPIRED]: [
    ['OrderPlaced', 'PLACED'],
    ['PaymentRequested', 'PAYMENT_PENDING'],
    ['PaymentFailed', 'PAYMENT_PENDING'],
    ['OrderCancelled', 'CANCELLED'],
  ],
  [REFUNDED]: [
    ['OrderOpened', 'DRAFT'],
    ['ItemAdded', 'DRAFT'],
    ['OrderPlaced', 'PLACED'],
    ['PaymentRequested', 'PAYMENT_PENDING'],
    ['OrderCancelled', 'CANCELLED'],
    ['MessagePassedOver', 'CANCELLED', { messageId: idOf('payment.events', REFUNDED, 'PaymentSucceeded') }],
    ['PaymentRefunded', 'CANCELLED'],
  ],
  [DRAFT]: [['OrderOpened', 'DRAFT']],
  [CHARGED]: [
    ['OrderPlaced', 'PLACED'],
    ['PaymentRequested', 'PAYMENT_PENDING'],
    ['PaymentSucceeded', 'PAYMENT_PENDING'],
    ['OrderCompleted', 'COMPLETED'],
  ],
  [WITHDRAWN]: [
    ['OrderPlaced', 'PLACED'],
    ['PaymentRequested', 'PAYMENT_PENDING'],
    ['OrderCancelled', 'CANCELLED'],
    ['PaymentCancelled', 'CANCELLED'],
  ],
};

const requested = (id: string): Line => [
  'PaymentRequested',
  'PENDING',
  { messageId: idOf('order.events', id, 'OrderPlaced') },
];
const onCancelled = (id: string) => ({ messageId: idOf('order.events', id, 'OrderCancelled') });

const PAYMENTS: Readonly<Record<string, readonly Line[]>> = {
  [FINISHED]: [requested(FINISHED), ['PaymentSucceeded', 'SUCCEEDED']],
  [EXPIRED]: [
    requested(EXPIRED),
    ['PaymentFailed', 'FAILED', { cause: 'expiry', at: EXPIRES_AT + 300 }],
    ['OrderCancelled', 'FAILED', onCancelled(EXPIRED)],
  ],
  [REFUNDED]: [
    requested(REFUNDED),
    ['PaymentSucceeded', 'SUCCEEDED', { messageId: 'msg-1' }],
    ['RefundRequested', 'REFUND_PENDING', onCancelled(REFUNDED)],
    ['PaymentRefunded', 'REFUNDED'],
  ],
  [CHARGED]: [requested(CHARGED), ['PaymentSucceeded', 'SUCCEEDED', { cause: 'charge' }]],
  [WITHDRAWN]: [requested(WITHDRAWN), ['PaymentCancelled', 'CANCELLED', onCancelled(WITHDRAWN)]],
};

/** A valid run with six orders. Each message of the first order was delivered twice, the second time late. */
function aRun(change: Partial<Facts> = {}): Facts {
  const orderSteps = Object.entries(ORDERS).flatMap(([id, lines]) => timeline(id, lines));
  const paymentSteps = Object.entries(PAYMENTS).flatMap(([id, lines]) => timeline(id, lines));
  const paymentRequests = Object.keys(PAYMENTS).map((id): PaymentRequestFact => {
    const { status, version } = paymentSteps.findLast(({ orderId }) => orderId === id)!;
    const customerId = `of-${id}`;
    const request = {
      id: `pay-${id}`,
      orderId: id,
      customerId,
      amount: 900,
      expiresAt: EXPIRES_AT,
      taken: id === CHARGED,
    };
    return { ...request, status: status!, version: version! };
  });
  const orders = Object.keys(ORDERS).map((id): OrderFact => {
    const { status, version } = orderSteps.findLast(({ orderId }) => orderId === id)!;
    const request = paymentRequests.find(({ orderId }) => orderId === id);
    const payment = request ? { paymentRequestId: request.id, status: request.status } : null;
    const items = [{ productId: 'tea', quantity: 2, unitPrice: 450 }];
    return { id, customerId: `of-${id}`, status: status!, version: version!, total: 900, payment, items };
  });
  const committed = [...publishedBy(orderSteps, 'order.events'), ...publishedBy(paymentSteps, 'payment.events')];
  const first = committed.filter(({ topic, key }) => topic === 'order.events' && key === FINISHED);
  return {
    gateway: 'simulated',
    brokers: 1,
    orderAttempts: orders.map(({ id, customerId }) => ({
      customerId,
      ...(id === DRAFT ? { outcome: 'abandoned', orderIds: [] } : { outcome: 'accepted', orderIds: [id], total: 900 }),
      tookMs: 20,
    })),
    edits: [{ orderId: REFUNDED, expected: 1, outcome: 'accepted' }],
    commands: [
      { kind: 'finish', orderId: FINISHED, outcome: 'accepted' },
      { kind: 'finish', orderId: FINISHED, outcome: 'refused', actual: 'FINISHED' },
      { kind: 'cancel', orderId: REFUNDED, outcome: 'accepted' },
      { kind: 'cancel', orderId: CHARGED, outcome: 'refused', actual: 'COMPLETED' },
    ],
    decisions: [{ paymentRequestId: `pay-${FINISHED}`, status: 'SUCCEEDED' }],
    webhooks: [
      {
        id: 'msg-1',
        paymentRequestId: `pay-${REFUNDED}`,
        type: 'payment.succeeded',
        forged: false,
        answers: [
          { status: 503, outcome: '' },
          { status: 200, outcome: 'applied' },
          { status: 200, outcome: 'repeated' },
        ],
      },
      {
        id: 'msg-2',
        paymentRequestId: `pay-${EXPIRED}`,
        type: 'payment.succeeded',
        forged: true,
        answers: [{ status: 401, outcome: '' }],
      },
    ],
    answers: [
      { status: 200, code: '', count: 20 },
      { status: 401, code: 'webhook-not-genuine', count: 1 },
      { status: 409, code: 'insufficient-stock', count: 3 },
      { status: 409, code: 'order-wrong-status', count: 2 },
      { status: 409, code: 'payment-already-decided', count: 1 },
      { status: 412, code: 'version-conflict', count: 1 },
      { status: 503, code: 'database-unavailable', count: 5 },
    ],
    replayed: 3,
    orders,
    paymentRequests,
    orderSteps,
    paymentSteps,
    // Two each for the finished and the charged order; not all of the returned stock has been added yet.
    stock: [{ productId: 'tea', initial: 10, put: 5, available: 9, released: 2 }],
    // While the second was written, an order returned two pieces.
    puts: [
      { productId: 'tea', version: 2, available: 8 },
      { productId: 'tea', version: 3, available: 10 },
    ],
    stockChanges: [
      { productId: 'tea', version: 2, available: 8, grew: -2, folded: 2 },
      { productId: 'tea', version: 3, available: 12, grew: 11, folded: 2 },
    ],
    notices: orderSteps
      .filter(({ type }) => /^Order(Completed|Cancelled|Finished)$/.test(type))
      .map(({ orderId, type }) => ({ orderId, type })),
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
    parkings: [
      aParking(FINISHED, 'OrderPlaced', { failed: true, went: 1 }),
      aParking(WITHDRAWN, 'OrderPlaced', { failed: true, went: 2 }),
      aParking(WITHDRAWN, 'OrderCancelled', { went: 3 }),
    ],
    recordings: [
      { consumer: 'payment-service', messageId: idOf('order.events', FINISHED, 'OrderPlaced'), at: 0.5 },
      { consumer: 'payment-service', messageId: idOf('order.events', FINISHED, 'OrderCompleted'), at: 4 },
    ],
    takeOvers: [{ service: 'order-service', since: 60_000, released: false, at: 64_100 }],
    preparedAgain: 2,
    slowRefusals: [],
    relays: [
      { service: 'order-service', terms: 3, gaps: 0 },
      { service: 'payment-service', terms: 1, gaps: 0 },
    ],
    marks: [{ when: 'at rest', consumer: 'order-service', place: 'payment.events/0', marks: 1 }],
    faults: [
      { kind: 'service killed', target: 'payment-service/1', at: 1000, until: 1500 },
      { kind: 'service paused', target: 'payment-service/2', at: 2000, until: 2500 },
      { kind: 'service killed', target: 'payment-service/2', at: 3000, until: 3500 },
      { kind: 'database slow', target: 'database', at: 30_000, until: 34_000 },
      { kind: 'column widened', target: 'database', at: 40_000, until: 40_100 },
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
      // A standby.
      { name: 'order-service relay/2 → kafka', connections: 0 },
    ],
    unexpectedEvents: [],
    ...change,
  };
}

/** A step has the id of its event, in the timeline of the service that publishes the event and in that of the one that receives it. */
function idOf(topic: string, key: string, type: string): string {
  return `${topic} ${key} ${type}`;
}

function timeline(orderId: string, lines: readonly Line[]): StepFact[] {
  let version = 0;
  return lines.map(([type, status, more], index) => {
    // The timeline of a payment also records received messages that changed nothing.
    const isNote = index > 0 && type === 'OrderCancelled' && status === 'FAILED';
    if (!isNote) version++;
    const topic = type.startsWith('Order') ? 'order.events' : 'payment.events';
    const messageId = idOf(topic, orderId, type);
    return { orderId, type, status, version, at: index, cause: null, messageId, reason: null, ...more };
  });
}

function publishedBy(steps: readonly StepFact[], topic: string): LoggedRecord[] {
  return steps
    .filter(({ type }) => PUBLISHED[topic]?.includes(type))
    .map(({ orderId, type, version }, offset) => aRecord(topic, offset, orderId, type, version ?? 0));
}

function aRecord(topic: string, offset: number, key: string, type: string, sequence: number): LoggedRecord {
  return { topic, partition: 0, offset, key, id: idOf(topic, key, type), type, sequence };
}

function aParking(key: string, type: string, change: Partial<ParkingFact> = {}): ParkingFact {
  const messageId = idOf('order.events', key, type);
  return {
    service: 'payment-service',
    consumer: 'payment-service',
    key,
    messageId,
    holdsKey: true,
    failed: false,
    went: null,
    ...change,
  };
}

const aSlowRefusal = { process: 'order-service/1', code: 'database-unavailable', at: 50_000, tookMs: 2300 } as const;

/** A dead letter of a message that was alone in flight when three processes died. */
function aParked(change: Partial<ParkedFact> = {}): ParkedFact {
  const error = 'the process died 3 times while handling it';
  return {
    service: 'payment-service',
    box: 'inbox',
    consumer: 'payment-service',
    id: '7',
    key: EXPIRED,
    error,
    writtenAt: 500,
    deadAt: 4000,
    ...change,
  };
}

/** Returns the items with these fields changed in the first one. */
function changed<T>(items: readonly T[], fields: Partial<T>): T[] {
  return items.map((item, index) => (index === 0 ? { ...item, ...fields } : item));
}

/** Returns the items with these fields changed in those of the order. */
function of<T extends { id: string } | { orderId: string }>(id: string, items: readonly T[], fields: Partial<T>): T[] {
  return items.map((item) => (('orderId' in item ? item.orderId : item.id) === id ? { ...item, ...fields } : item));
}

/** Adds abandoned carts until there are as many orders as in a long run. */
function withManyOrders(facts: Facts): Facts {
  const cart = facts.orders.find(({ status }) => status === 'DRAFT')!;
  const carts = Array.from({ length: 1000 }, (_, n) => ({ ...cart, id: `cart-${n}`, customerId: `of-cart-${n}` }));
  return {
    ...facts,
    orders: [...facts.orders, ...carts],
    orderSteps: [...facts.orderSteps, ...carts.flatMap(({ id }) => timeline(id, [['OrderOpened', 'DRAFT']]))],
    orderAttempts: [
      ...facts.orderAttempts,
      ...carts.map(({ customerId }) => ({ customerId, outcome: 'abandoned' as const, orderIds: [], tookMs: 0 })),
    ],
  };
}

const aFailOver = { kind: 'database failed over', target: 'postgres', at: 1000, until: 2000 } as const;

const findingsOf = (facts: Facts) =>
  judge(facts).flatMap(({ check, findings }) => findings.map((finding) => `${check}: ${finding}`));

const validRun = aRun();
const { orders, paymentRequests, orderSteps, paymentSteps, records, outbox, webhooks } = validRun;
const isOf = (id: string, type: string) => (step: StepFact) => step.orderId === id && step.type === type;

it('finds nothing in a valid run', () => {
  expect(findingsOf(validRun)).toEqual([]);
});

const BROKEN: readonly [what: string, Partial<Facts>, RegExp][] = [
  ['that nothing happened', { orderAttempts: [], orders: [], orderSteps: [], records: [] }, /no order was accepted/],
  [
    'that no order was paid',
    { orderSteps: orderSteps.filter(({ type }) => type !== 'OrderCompleted') },
    /no order was paid/,
  ],
  [
    'that nothing expired',
    { gateway: 'manual', paymentSteps: paymentSteps.map((step) => ({ ...step, cause: null })) },
    /no payment expired/,
  ],
  [
    'that the gateway was never called',
    { paymentSteps: paymentSteps.map((step) => ({ ...step, cause: null })) },
    /the gateway settled no payment/,
  ],
  ['that nothing was sent twice', { replayed: 0 }, /no idempotency key was repeated/],
  [
    'that nothing was sold out',
    { answers: validRun.answers.filter(({ code }) => code !== 'insufficient-stock') },
    /no request was refused with insufficient-stock/,
  ],
  [
    'an accepted order that is missing',
    { orders: orders.slice(1) },
    /of-order-1 was answered with order order-1 for 900, but has/,
  ],
  [
    'an accepted order that is only a cart',
    { orderSteps: orderSteps.filter((step) => !isOf(FINISHED, 'OrderPlaced')(step)) },
    /of-order-1 was answered with order order-1 for 900, but has undefined/,
  ],
  ['an accepted order with a different id', { orders: changed(orders, { id: 'other' }) }, /but has undefined for/],
  [
    'an accepted order with a different total',
    { orders: changed(orders, { total: 901 }) },
    /for 900, but has .* for 901/,
  ],
  [
    'two orders for one idempotency key',
    { orderAttempts: changed(validRun.orderAttempts, { orderIds: [FINISHED, 'order-9'] }) },
    /was answered with order order-1, order-9/,
  ],
  [
    'a refused order that is placed',
    { orderAttempts: changed(validRun.orderAttempts, { outcome: 'refused' }) },
    /an order of of-order-1 was refused but is placed/,
  ],
  [
    'an unanswered request that placed two orders',
    {
      orderAttempts: changed(validRun.orderAttempts, { outcome: 'unanswered' }),
      orders: [...orders, { ...orders[0]!, id: 'order-9' }],
    },
    /of-order-1 requested one order and has 2/,
  ],
  [
    'an order that nobody requested',
    { orderAttempts: validRun.orderAttempts.slice(1) },
    /nobody requested order order-1/,
  ],
  [
    'two changes of one version',
    { edits: [...validRun.edits, ...validRun.edits] },
    /version 2 of order-3 was created 2 times/,
  ],
  [
    'an accepted change that is missing',
    { orderSteps: orderSteps.filter((step) => !isOf(REFUNDED, 'ItemAdded')(step)) },
    /version 2 of order-3 was accepted but does not exist/,
  ],
  [
    'a cancelled order that was completed',
    { orders: of(REFUNDED, orders, { status: 'COMPLETED' }) },
    /the request to cancel order order-3 was accepted, but it is COMPLETED/,
  ],
  [
    'a cancellation that was refused for a status the order never had',
    { orders: of(CHARGED, orders, { status: 'CANCELLED' }) },
    /the request to cancel order order-5 was refused as COMPLETED, but it is CANCELLED/,
  ],
  [
    'an accepted payment result that is missing',
    { decisions: changed(validRun.decisions, { status: 'FAILED' }) },
    /pay-order-1 was accepted as FAILED but never was/,
  ],
  [
    'an order without a payment request',
    { paymentRequests: paymentRequests.slice(1) },
    /order-1 has 0 payment requests/,
  ],
  [
    'an order with two payment requests',
    { paymentRequests: [...paymentRequests, { ...paymentRequests[0]!, id: 'pay-again' }] },
    /order-1 has 2 payment requests/,
  ],
  [
    'a payment request with a different amount',
    { paymentRequests: changed(paymentRequests, { amount: 1 }) },
    /order-1 has a different amount/,
  ],
  [
    'a payment request without an order',
    { paymentRequests: [...paymentRequests, { ...paymentRequests[0]!, id: 'p', orderId: 'o' }] },
    /payment request p belongs to no order/,
  ],
  ['an order that stays PLACED', { orders: changed(orders, { status: 'PLACED' }) }, /order-1 is still PLACED/],
  [
    'a payment that stays pending',
    { paymentRequests: changed(paymentRequests, { status: 'PENDING' }) },
    /order-1 is FINISHED, but its payment is PENDING/,
  ],
  [
    'a refund that was never made',
    { paymentRequests: of(REFUNDED, paymentRequests, { status: 'REFUND_PENDING' }) },
    /order-3 is CANCELLED, but its payment is REFUND_PENDING/,
  ],
  [
    'an order that has recorded a different payment',
    { orders: changed(orders, { payment: { paymentRequestId: 'other', status: 'SUCCEEDED' } }) },
    /order-1 has recorded a different payment/,
  ],
  [
    'an order that has not recorded its refund',
    { orders: of(REFUNDED, orders, { payment: { paymentRequestId: `pay-${REFUNDED}`, status: 'SUCCEEDED' } }) },
    /order-3 has recorded a different payment or payment status/,
  ],
  [
    'a cart with a payment',
    { orders: of(DRAFT, orders, { payment: { paymentRequestId: 'p', status: 'PENDING' } }) },
    /order-4 was never placed but has a payment/,
  ],
  [
    'a price that changed after the order was placed',
    { orders: changed(orders, { items: [{ productId: 'tea', quantity: 2, unitPrice: 500 }] }) },
    /order-1 costs 900, but its items cost 1000/,
  ],
  [
    'money kept for a cancelled order',
    { paymentSteps: paymentSteps.filter((step) => !isOf(REFUNDED, 'PaymentRefunded')(step)) },
    /the money of payment request pay-order-3 was received 1 times and refunded 0 times/,
  ],
  [
    'money that was refunded twice',
    { paymentSteps: [...paymentSteps, paymentSteps.find(isOf(REFUNDED, 'PaymentRefunded'))!] },
    /the money of payment request pay-order-3 was received 1 times and refunded 2 times/,
  ],
  [
    'a completed order without money',
    { paymentSteps: paymentSteps.filter((step) => !isOf(FINISHED, 'PaymentSucceeded')(step)) },
    /0 was kept for orders that cost 900|900 was kept for orders that cost 1800/,
  ],
  [
    'money that the gateway took but nobody recorded',
    { paymentRequests: of(EXPIRED, paymentRequests, { taken: true }) },
    /the money of payment request pay-order-2 was received but not recorded/,
  ],
  [
    'money that the provider reported but nobody recorded',
    { webhooks: [...webhooks, { ...webhooks[0]!, id: 'msg-3', paymentRequestId: `pay-${EXPIRED}` }] },
    /the money of payment request pay-order-2 was received but not recorded/,
  ],
  [
    'stock that was lost',
    { stock: changed(validRun.stock, { released: 1 }) },
    /the stock of tea does not add up: 10 initial and 5 added, but 9 available, 1 returned and 4 sold/,
  ],
  [
    'stock that was sold twice',
    { orders: of(CHARGED, orders, { items: [{ productId: 'tea', quantity: 3, unitPrice: 300 }] }) },
    /the stock of tea does not add up: 10 initial and 5 added, but 9 available, 2 returned and 5 sold/,
  ],
  [
    'negative stock',
    { stock: changed(validRun.stock, { available: -1, released: 12 }) },
    /the stock of tea is negative: -1 available, 12 returned/,
  ],
  [
    'an accepted PUT of a product that is missing',
    { stockChanges: [] },
    /tea, version 2, was accepted but does not exist/,
  ],
  [
    'returned stock that a PUT has lost',
    { stockChanges: changed(validRun.stockChanges, { available: 6 }) },
    /tea, version 2, was answered with 8 available but stored with 6, 2 of them returned/,
  ],
  [
    'stock that a PUT has created',
    { stockChanges: changed(validRun.stockChanges, { available: 11 }) },
    /tea, version 2, was answered with 8 available but stored with 11/,
  ],
  [
    'an early expiry',
    { paymentRequests: of(EXPIRED, paymentRequests, { expiresAt: EXPIRES_AT + 900 }) },
    /the payment of order order-2 expired too early/,
  ],
  [
    'a payment that expired twice',
    { paymentSteps: [...paymentSteps, paymentSteps.find(isOf(EXPIRED, 'PaymentFailed'))!] },
    /the payment of order order-2 expired 2 times/,
  ],
  [
    'a webhook that took effect twice',
    { webhooks: changed(webhooks, { answers: [...webhooks[0]!.answers, { status: 200, outcome: 'passed-over' }] }) },
    /webhook msg-1 took effect 2 times according to its answers, but is on 1 lines/,
  ],
  [
    'an accepted webhook without an effect',
    { paymentSteps: paymentSteps.map((step) => (step.messageId === 'msg-1' ? { ...step, messageId: null } : step)) },
    /webhook msg-1 took effect 1 times according to its answers, but is on 0 lines/,
  ],
  [
    'a forged webhook that was accepted',
    { webhooks: webhooks.map((webhook) => ({ ...webhook, forged: true })) },
    /the forged webhook msg-1 was accepted/,
  ],
  [
    'a customer who was not notified',
    { notices: validRun.notices.slice(1) },
    /no customer was notified of OrderCompleted of/,
  ],
  [
    'an invalid transition of an order',
    { orderSteps: orderSteps.filter((step) => !isOf(EXPIRED, 'PaymentRequested')(step)) },
    /order order-2 went from PLACED, version 1, through PaymentFailed to PAYMENT_PENDING, version 3/,
  ],
  [
    'an order that does not match the end of its timeline',
    { orders: changed(orders, { version: 6 }) },
    /order order-1 is FINISHED in version 6, but its timeline ends with FINISHED, version 5/,
  ],
  [
    'a timeline of a payment that skips a version',
    { paymentSteps: paymentSteps.filter((step) => !isOf(REFUNDED, 'RefundRequested')(step)) },
    /pay-order-3 went from SUCCEEDED, version 2, through PaymentRefunded to REFUNDED, version 4/,
  ],
  [
    'a message that was processed twice',
    {
      orderSteps: [
        ...orderSteps,
        {
          ...orderSteps.find(isOf(FINISHED, 'PaymentSucceeded'))!,
          type: 'MessagePassedOver',
          status: 'FINISHED',
          version: 6,
        },
      ],
    },
    /order-service processed PaymentSucceeded of order order-1 2 times/,
  ],
  [
    'a message that was never processed',
    { paymentSteps: paymentSteps.filter((step) => !isOf(EXPIRED, 'OrderCancelled')(step)) },
    /payment-service processed OrderCancelled of order order-2 0 times/,
  ],
  [
    'a step that happened twice',
    {
      orderSteps: [
        ...orderSteps,
        { ...orderSteps.find(isOf(FINISHED, 'OrderFinished'))!, version: 6, messageId: null },
      ],
    },
    /OrderFinished of order order-1 happened 2 times/,
  ],
  [
    'an event that was lost',
    { records: records.filter(({ type }) => type !== 'OrderCancelled') },
    /OrderCancelled of order order-2 on order.events, sequence 4 never reached its topic/,
  ],
  [
    'an event of a rolled-back transaction',
    { records: [...records, aRecord('order.events', 9, 'ghost', 'OrderPlaced', 1)] },
    /OrderPlaced of order ghost on order.events, sequence 1 was published without a step/,
  ],
  [
    'an event with a different version from its change',
    { records: [aRecord('order.events', 1, FINISHED, 'OrderCompleted', 6), ...records] },
    /OrderCompleted of order order-1 on order.events, sequence 6 was published without a step/,
  ],
  [
    'a message left in the outbox',
    { outbox: [...outbox, { ...outbox[0]!, id: 'forgotten' }] },
    /forgotten, OrderPlaced of order order-1 on order.events, is in the outbox but not on its topic/,
  ],
  [
    'a message on the topic of the other service',
    { outbox: changed(outbox, { topic: 'payment.events' }) },
    /OrderPlaced of order order-1 on payment.events, is in the outbox but not on its topic/,
  ],
  [
    'a message that nobody committed',
    { records: [...records, { ...records[0]!, offset: 200, id: 'ghost' }] },
    /ghost, OrderPlaced of order order-1 on order.events, at 0\/200, is in no outbox/,
  ],
  [
    'a message that differs from what was committed',
    { outbox: changed(outbox, { key: EXPIRED }) },
    /OrderPlaced of order order-1 .* was committed as OrderPlaced of order order-2 on order.events, sequence 1/,
  ],
  [
    'messages published in a different order than committed, even if their sequences are in order',
    {
      outbox: outbox.map((row) => (row.key === EXPIRED && row.type === 'OrderPlaced' ? { ...row, position: 50 } : row)),
    },
    /OrderCancelled of order-2 on order.events, at 0\/\d+, is behind a later message/,
  ],
  [
    'two messages of a key in the wrong order',
    {
      records: records.map((record) =>
        record.key === EXPIRED && record.type === 'OrderPlaced' ? { ...record, offset: 50 } : record,
      ),
    },
    /OrderPlaced of order-2 on order.events, at 0\/50, is behind a later message/,
  ],
  [
    'the messages of a key on two partitions',
    { records: changed(records, { partition: 1 }) },
    /order-1 on order.events are spread over 2 partitions/,
  ],
  [
    'an event raised twice',
    { records: [...records, { ...records[0]!, offset: 200, id: 'another' }] },
    /OrderPlaced of order order-1 on order.events was raised 2 times/,
  ],
  [
    'an event committed twice and published once',
    { outbox: [...outbox, { ...outbox[0]!, id: 'another' }] },
    /OrderPlaced of order order-1 on order.events was raised 2 times/,
  ],
  [
    'a dead letter',
    { parked: [aParked({ error: 'order-not-found' })] },
    /the inbox of payment-service has a dead letter of order-2: order-not-found/,
  ],
  [
    'a dead letter that names more deaths than there were',
    { parked: [aParked({ error: 'the process died 4 times while handling it' })] },
    /a dead letter of order-2: the process died 4 times/,
  ],
  [
    'a dead letter that is older than the deaths',
    { parked: [aParked({ deadAt: 2500 })] },
    /a dead letter of order-2: the process died 3 times/,
  ],
  [
    'a dead letter whose message is newer than the deaths',
    { parked: [aParked({ writtenAt: 1000 })] },
    /a dead letter of order-2: the process died 3 times/,
  ],
  [
    'a dead letter although only processes of the other service died',
    { parked: [aParked({ service: 'order-service' })] },
    /the inbox of order-service has a dead letter of order-2: the process died 3 times/,
  ],
  [
    'a dead letter although only relays died, which consume nothing',
    { parked: [aParked()], faults: validRun.faults.map((fault) => ({ ...fault, target: 'payment-service relay/1' })) },
    /a dead letter of order-2: the process died 3 times/,
  ],
  [
    'a dead letter although processes were only terminated gracefully',
    { parked: [aParked()], faults: validRun.faults.map((fault) => ({ ...fault, kind: 'service terminated' })) },
    /a dead letter of order-2: the process died 3 times/,
  ],
  [
    'a dead letter of an outbox, whatever its error',
    { parked: [aParked({ box: 'outbox' })] },
    /the outbox of payment-service has a dead letter of order-2/,
  ],
  [
    'a dead job',
    { parked: [aParked({ box: 'jobs', consumer: '', key: 'refund', error: 'no route' })] },
    /the jobs of payment-service has a dead letter of refund: no route/,
  ],
  [
    'a message that is still waiting',
    { parked: [aParked({ deadAt: null, error: 'deadlock detected' })] },
    /7 of order-2 is still waiting in the inbox of payment-service: deadlock detected/,
  ],
  [
    'a job that is still waiting',
    { parked: [aParked({ box: 'jobs', consumer: '', key: 'refund', deadAt: null, error: '' })] },
    /7 of refund is still waiting in the jobs of payment-service: no error/,
  ],
  [
    'a message that waits behind a dead letter of another consumer',
    {
      parked: [
        aParked(),
        aParked({ service: 'order-service', consumer: 'order-service', id: '8', deadAt: null, error: '' }),
      ],
    },
    /8 of order-2 is still waiting in the inbox of order-service: no error/,
  ],
  [
    'a message that waits behind an unexplained dead letter',
    { parked: [aParked({ error: 'order-not-found' }), aParked({ id: '8', deadAt: null, error: '' })] },
    /8 of order-2 is still waiting in the inbox of payment-service/,
  ],
  [
    'a message above the cursor of its relay, or in a gap',
    { outbox: changed(outbox, { pending: true }) },
    /order.events order-1 OrderPlaced of order.events, at position 1, is not recorded as published/,
  ],
  [
    'a gap that is never closed',
    { relays: changed(validRun.relays, { gaps: 32 }) },
    /the relay of order-service has 32 open gaps/,
  ],
  [
    'crash marks that accumulate',
    { marks: changed(validRun.marks, { marks: 3 }) },
    /order-service has 3 crash marks on payment.events\/0 at rest/,
  ],
  [
    'a process that ignores SIGTERM',
    { stops: [...validRun.stops, { name: 'order-service/1', exit: 'SIGKILL', tookMs: 20_000 }] },
    /order-service\/1 exited with SIGKILL on SIGTERM/,
  ],
  [
    'a process that exits with an error',
    { stops: changed(validRun.stops, { exit: 1 }) },
    /order-service\/1 exited with 1 on SIGTERM/,
  ],
  [
    'a process that takes too long to stop',
    { stops: changed(validRun.stops, { tookMs: 10_200 }) },
    /order-service\/1 took 10.2 s to stop on SIGTERM/,
  ],
  ['a process that was never stopped', { stops: validRun.stops.slice(1) }, /order-service\/1 was never asked to stop/],
  [
    'an answer that reveals a bug',
    { answers: [...validRun.answers, { status: 500, code: 'internal-error', count: 1 }] },
    /1 answers were 500 internal-error/,
  ],
  [
    'an unexpected refusal',
    { answers: [...validRun.answers, { status: 422, code: 'idempotency-key-reused', count: 2 }] },
    /2 answers were 422 idempotency-key-reused/,
  ],
  [
    'a 503 that came too late',
    { slowRefusals: [aSlowRefusal] },
    /order-service\/1 took 2.30 s to answer 503 database-unavailable/,
  ],
  [
    'a late take-over of a relay',
    { takeOvers: [{ service: 'order-service', since: 60_000, released: false, at: 66_500 }] },
    /the relay of order-service was taken over after 5.5 s/,
  ],
  [
    'that no handler failed',
    { parkings: validRun.parkings.map((parking) => ({ ...parking, failed: false })) },
    /no message was parked because its handler failed/,
  ],
  [
    'a parked message that was overtaken',
    { parkings: validRun.parkings.map((parking) => ({ ...parking, went: 10 - (parking.went ?? 0) })) },
    /payment-service handled parked messages of order-6 out of order/,
  ],
  [
    'a parked message that was overtaken and is still waiting',
    { parkings: validRun.parkings.map((parking, n) => (n === 1 ? { ...parking, went: null } : parking)) },
    /payment-service handled parked messages of order-6 out of order/,
  ],
  [
    'a parked message that was overtaken by a message that was never parked',
    { recordings: validRun.recordings.map((recording) => ({ ...recording, at: 0.5 })) },
    /payment-service handled parked messages of order-1 out of order/,
  ],
  [
    'messages that were parked in the wrong order',
    { parkings: validRun.parkings.toReversed().map((parking, n) => ({ ...parking, went: n })) },
    /payment-service parked messages of order-6 in a different order/,
  ],
  ['that no fault was injected', { faults: [] }, /no fault was injected/],
  ['that a database with a standby never failed over', { promotions: 0 }, /never failed over/],
  [
    'that a fail-over promoted no standby',
    { promotions: 0, faults: [aFailOver] },
    /failed over 1 times, but was promoted 0/,
  ],
  ['that nothing was redelivered', { redelivered: 0 }, /no message was redelivered/],
  [
    'a connection that bypasses its link',
    { links: changed(validRun.links, { connections: 0 }) },
    /there was no connection order-service\/1 → kafka/,
  ],
  [
    'that neither of two relays was ever connected',
    { links: validRun.links.map((link) => ({ ...link, connections: link.name.includes(' relay/') ? 0 : 4 })) },
    /there was no connection order-service relays → kafka/,
  ],
  [
    'a service that exited unexpectedly',
    { unexpectedEvents: ['order-service/1 exited unexpectedly'] },
    /order-service\/1 exited unexpectedly/,
  ],
];

it.each(BROKEN)('finds %s', (_, wrong, finding) => {
  expect(findingsOf(aRun(wrong))).toEqual(expect.arrayContaining([expect.stringMatching(finding)]));
});

it('has no check that cannot fail', () => {
  const failed = BROKEN.flatMap(([, wrong]) => judge(aRun(wrong)).filter(({ findings }) => findings.length > 0));

  expect(new Set(failed.map(({ check }) => check))).toEqual(new Set(judge(validRun).map(({ check }) => check)));
});

it('requires a long run to cover what a short one may lack', () => {
  const short = aRun({
    webhooks: [],
    answers: validRun.answers.filter(({ code }) => code !== 'order-wrong-status' && code !== 'webhook-not-genuine'),
  });

  const findings = findingsOf(withManyOrders(short)).map((finding) => finding.replace(/^.*: in this run /, ''));

  expect(findingsOf(short)).toEqual([]);
  expect(findings).toEqual([
    'no payment was received late',
    'no webhook took effect',
    'no webhook was ignored',
    'no webhook was a duplicate',
    'no request was refused with order-wrong-status',
    'no request was refused with webhook-not-genuine',
  ]);
});

it('requires a long run with several brokers to have hit them with every fault', () => {
  const faults = ['server killed', 'server paused', 'server restarted', 'broker cut off'].map((kind) => {
    return { ...validRun.faults[0]!, kind: kind as 'server killed', target: 'kafka-2' };
  });
  const ofCluster = (hit: Facts['faults']) =>
    findingsOf(withManyOrders(aRun({ brokers: 3, faults: [...validRun.faults, ...hit] }))).filter((finding) =>
      / (broker|coordinator|leader) /.test(finding),
    );

  expect(ofCluster([])).toHaveLength(6);
  expect(ofCluster(faults.map((fault) => ({ ...fault, target: 'postgres' })))).toHaveLength(6);
  expect(ofCluster(faults)).toEqual([
    expect.stringContaining('no coordinator of a group was killed'),
    expect.stringContaining('no partition leader was moved'),
  ]);
});

it('requires a long run with a standby to have killed and paused it', () => {
  const withStandby = (...hit: Facts['faults']) =>
    aRun({ promotions: 1, faults: [...validRun.faults, aFailOver, ...hit] });
  const ofStandby = { target: 'postgres', at: 60_000, until: 62_000 } as const;
  const killed = { ...ofStandby, kind: 'standby killed' } as const;
  const paused = { ...ofStandby, kind: 'standby paused' } as const;

  expect(findingsOf(withStandby())).toEqual([]);
  expect(findingsOf(withManyOrders(withStandby())).filter((finding) => finding.includes(' standby '))).toEqual([
    expect.stringContaining('no standby was killed'),
    expect.stringContaining('no standby was paused'),
  ]);
  expect(
    findingsOf(withManyOrders(withStandby(killed, paused))).filter((finding) => finding.includes(' standby ')),
  ).toEqual([]);
});

it('requires a connection of each process to one of several brokers, not to each of them', () => {
  const links = (...connections: number[]) =>
    connections.map((count, n) => ({ name: `order-service/1 → kafka-${n + 1}`, connections: count }));

  expect(findingsOf(aRun({ links: links(0, 2, 0) }))).toEqual([]);
  expect(findingsOf(aRun({ links: links(0, 0, 0) }))).toEqual([
    expect.stringContaining('there was no connection order-service/1 → kafka'),
  ]);
});

it('excuses a late 503 of a process that was paused, and allows one time limit for each fault of its database', () => {
  const during = { at: 49_000, until: 51_000 };
  const findings = (tookMs: number, ...faults: Facts['faults']) =>
    findingsOf(aRun({ slowRefusals: [{ ...aSlowRefusal, tookMs }], faults: [...validRun.faults, ...faults] })).length;
  const killed = { kind: 'server killed', target: 'postgres', ...during } as const;
  const silent = { kind: 'link silent', target: 'order-service/1 → postgres', ...during } as const;
  const slow = { kind: 'database slow', target: 'database', ...during } as const;

  expect(findings(9000, { kind: 'service paused', target: 'order-service/1', ...during })).toBe(0);
  expect(findings(2300, { kind: 'service paused', target: 'order-service/2', ...during })).toBe(1);
  expect(findings(2300, killed)).toBe(1);
  expect(findings(3900, killed, silent)).toBe(0);
  expect(findings(4100, killed, silent)).toBe(1);
  expect(findings(3900, slow)).toBe(0);
  expect(findings(4100, slow)).toBe(1);
});

it('allows a time limit for the backlog of an earlier fault only if another fault coincides with it', () => {
  const [earlier, during] = [
    { at: 46_000, until: 48_000 },
    { at: 49_500, until: 51_000 },
  ];
  const findings = (tookMs: number, ...faults: Facts['faults']) =>
    findingsOf(aRun({ slowRefusals: [{ ...aSlowRefusal, tookMs }], faults: [...validRun.faults, ...faults] })).length;
  const slow = { kind: 'database slow', target: 'database', ...earlier } as const;
  const paused = { kind: 'server paused', target: 'postgres', ...during } as const;

  expect(findings(2300, slow)).toBe(1);
  expect(findings(2300, paused)).toBe(1);
  expect(findings(2300, slow, paused)).toBe(0);
  expect(findings(4100, slow, paused)).toBe(1);
  expect(findings(2300, { ...slow, at: 40_000, until: 42_000 }, paused)).toBe(1);
});

it('excuses a late take-over only if both relays or the database were unavailable', () => {
  const takeOvers = [{ service: 'order-service', since: 60_000, released: false, at: 66_500 } as const];
  const findings = (...faults: Facts['faults']) =>
    findingsOf(aRun({ takeOvers, faults: [...validRun.faults, ...faults] })).length;
  const leaderKilled = { kind: 'service killed', target: 'order-service relay/1', at: 60_500, until: 61_000 } as const;

  expect(findings(leaderKilled)).toBe(1);
  expect(
    findings(leaderKilled, { kind: 'link cut', target: 'order-service relay/2 → postgres', at: 58_000, until: 62_000 }),
  ).toBe(0);
  expect(
    findings(leaderKilled, { kind: 'link cut', target: 'order-service relay/2 → kafka', at: 58_000, until: 62_000 }),
  ).toBe(1);
  // This process cannot lead, because the service has separate relays.
  expect(findings(leaderKilled, { kind: 'service killed', target: 'order-service/2', at: 60_000, until: 62_000 })).toBe(
    1,
  );
  expect(findings({ kind: 'server killed', target: 'postgres', at: 59_000, until: 62_000 })).toBe(0);
});

it('measures a take-over from the death of the leader', () => {
  const takeOvers = [{ service: 'order-service', since: 60_000, released: false, at: 65_800 } as const];
  const killedAt = (at: number) =>
    ({ kind: 'service killed', target: 'order-service relay/1', at, until: at + 500 }) as const;
  const findings = (at: number) => findingsOf(aRun({ takeOvers, faults: [...validRun.faults, killedAt(at)] }));

  expect(findings(60_900)).toEqual([]);
  expect(findings(60_300)).toEqual([expect.stringContaining('taken over after 5.5 s')]);
});

it('an unanswered request may or may not have placed its order', () => {
  const orderAttempts = [
    ...changed(validRun.orderAttempts, { outcome: 'unanswered' }),
    { customerId: 'of-nothing', outcome: 'unavailable' as const, orderIds: [], tookMs: 0 },
  ];

  expect(findingsOf(aRun({ orderAttempts }))).toEqual([]);
});

it('a webhook may have taken effect even if the answer that reports it was lost', () => {
  const answers = [{ status: 200, outcome: 'repeated' }];

  expect(findingsOf(aRun({ webhooks: changed(webhooks, { answers: [] }) }))).toEqual([]);
  expect(findingsOf(aRun({ webhooks: changed(webhooks, { answers }) }))).toEqual([]);
});

it('requires an expiry only with the manual gateway, and a settled payment only with the simulated one', () => {
  const unexpired = paymentSteps.map((step) => (step.cause === 'expiry' ? { ...step, cause: null } : step));
  const uncharged = paymentSteps.map((step) => (step.cause === 'charge' ? { ...step, cause: null } : step));

  expect(findingsOf(aRun({ paymentSteps: unexpired }))).toEqual([]);
  expect(findingsOf(aRun({ gateway: 'manual', paymentSteps: uncharged }))).toEqual([]);
});

it('an explained dead letter excuses only its unfinished order and the messages waiting behind it', () => {
  const parked = [aParked(), aParked({ id: '8', deadAt: null, error: '' })];
  const isStuck = ({ topic, key, type }: { topic: string; key: string; type: string }) =>
    key === EXPIRED && (topic === 'payment.events' || type === 'OrderCancelled');
  const stuck = {
    parked,
    // The run still needs an expiry, so another payment expires.
    paymentRequests: paymentRequests.filter(({ orderId }) => orderId !== EXPIRED),
    paymentSteps: paymentSteps
      .filter(({ orderId }) => orderId !== EXPIRED)
      .map((step) => (step.type === 'PaymentCancelled' ? { ...step, at: EXPIRES_AT, cause: 'expiry' } : step)),
    orders: of(EXPIRED, orders, { status: 'PLACED', version: 1, payment: null }).map((order) =>
      order.id === EXPIRED ? { ...order, items: [{ productId: 'coffee', quantity: 2, unitPrice: 450 }] } : order,
    ),
    orderSteps: orderSteps.filter(({ orderId, type }) => orderId !== EXPIRED || type === 'OrderPlaced'),
    notices: validRun.notices.filter(({ orderId }) => orderId !== EXPIRED),
    records: records.filter((record) => !isStuck(record)),
    outbox: outbox.filter((row) => !isStuck(row)),
  };

  expect(findingsOf(aRun(stuck))).toEqual([]);
  expect(findingsOf(aRun({ ...stuck, orders: changed(stuck.orders, { version: 9 }) }))).toEqual([
    expect.stringContaining('order order-1 is FINISHED in version 9'),
  ]);
});

it('a dead letter of order-service does not excuse a missing payment request', () => {
  const parked = [aParked({ service: 'order-service', consumer: 'order-service' })];
  const faults = validRun.faults.map((fault) => ({ ...fault, target: 'order-service/1' as const }));
  const without = paymentRequests.filter(({ orderId }) => orderId !== EXPIRED);

  expect(findingsOf(aRun({ parked, faults, paymentRequests: without }))).toEqual(
    expect.arrayContaining([expect.stringContaining('order order-2 has 0 payment requests')]),
  );
});
