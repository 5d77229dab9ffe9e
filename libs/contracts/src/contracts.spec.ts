import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import {
  ORDER_EVENTS,
  OrderCancelled,
  OrderCompleted,
  OrderFinished,
  OrderPlaced,
  OrderPlacedV1,
  PAYMENT_EVENTS,
  PaymentCancelled,
  PaymentFailed,
  PaymentRefunded,
  PaymentRequested,
  PaymentSucceeded,
} from './index.js';

const id = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

/** Returns the event as a consumer reads it, and the fields that violate their rules. */
function read<T extends object>(event: new () => T, data: object) {
  const instance = plainToInstance(event, data);
  const invalid = validateSync(instance, { forbidUnknownValues: false }).map(({ property }) => property);
  return { instance, invalid };
}

const ids = {
  rejected: [undefined, null, '', '17', `{${id}}`, id.replaceAll('-', ''), 17, [id]],
  accepted: [id, id.toUpperCase()],
};
const text = (most: number) => ({
  rejected: ['', 'a\0', '\ud83d', 'x'.repeat(most + 1), '😀'.repeat(most + 1), '❤️'.repeat(most / 2 + 1), 7, [], {}],
  accepted: ['x', '😀'.repeat(most), 'x'.repeat(most), ' '],
});
const required = ({ rejected, accepted }: { readonly rejected: unknown[]; readonly accepted: unknown[] }) => ({
  rejected: [undefined, null, ...rejected],
  accepted,
});
const optional = ({ rejected, accepted }: { readonly rejected: unknown[]; readonly accepted: unknown[] }) => ({
  rejected,
  accepted: [undefined, null, ...accepted],
});

const order = { orderId: ids, customerId: required(text(255)) };
const payment = { orderId: ids, paymentRequestId: ids };
const reason = required(text(500));
const actor = optional(text(300));

const placed = {
  ...order,
  total: {
    rejected: [undefined, null, 0, -1, 9.5, '900', 1e19, Number.MAX_SAFE_INTEGER + 1, []],
    accepted: [1, Number.MAX_SAFE_INTEGER],
  },
  currency: {
    rejected: [undefined, null, '', 'EURO', 'ABC', 'EU', 978, ['EUR']],
    accepted: ['EUR', 'eur', 'XCG', 'ANG', 'XTS', 'XXX'],
  },
};

const item = { productId: 'tea', name: 'Tea', quantity: 2, unitPrice: 450 };
const items = {
  rejected: [
    undefined,
    null,
    [],
    {},
    'tea',
    ...[null, 'tea', [], [item]].map((entry) => [entry]),
    Array.from({ length: 101 }, () => item),
    ...[undefined, null, '', 'x'.repeat(65), 'a\0', 7].map((productId) => [{ ...item, productId }]),
    ...[undefined, null, '', 'x'.repeat(201), '\ud83d', {}].map((name) => [{ ...item, name }]),
    ...[undefined, null, 0, -1, 1.5, '2', 2 ** 31].map((quantity) => [{ ...item, quantity }]),
    ...[undefined, null, 0, -1, 4.5, '450', 2 ** 53].map((unitPrice) => [item, { ...item, unitPrice }]),
  ],
  accepted: [
    [item],
    [{ ...item, later: 'unknown' }],
    [{ productId: '😀'.repeat(64), name: '😀'.repeat(200), quantity: 2 ** 31 - 1, unitPrice: 2 ** 53 - 1 }],
    Array.from({ length: 100 }, () => item),
  ],
};

/** The values that each field accepts and rejects, in line with its column and the HTTP rules. */
const contracts = [
  { event: OrderPlaced, fields: { ...placed, items } },
  { event: OrderCompleted, fields: order },
  { event: OrderCancelled, fields: { ...order, reason, actor } },
  { event: OrderFinished, fields: order },
  {
    event: PaymentRequested,
    fields: {
      ...payment,
      expiresAt: {
        rejected: [
          '',
          'soon',
          '2026-11-21',
          '2026-W47-6',
          '2026-02-30T00:00:00Z',
          '+275760-09-13T00:00:00.000Z',
          1795253400000,
        ],
        accepted: [
          undefined,
          null,
          '2026-11-21T09:45:00.000Z',
          '2026-11-21T10:45:00+01:00',
          '9999-12-31T23:59:59.999Z',
        ],
      },
    },
  },
  { event: PaymentSucceeded, fields: { ...payment, actor } },
  { event: PaymentFailed, fields: { ...payment, reason, actor } },
  { event: PaymentCancelled, fields: { ...payment, reason, actor } },
  { event: PaymentRefunded, fields: { ...payment, reason, actor } },
];

/** Versions that may still be on a topic, in an outbox or among the dead letters. */
const earlier = [{ event: OrderPlacedV1, fields: placed }];

const events: readonly EventClass[] = Object.values({ ...ORDER_EVENTS.events, ...PAYMENT_EVENTS.events });

interface EventClass {
  new (): object;
  readonly name: string;
  readonly version: number;
  readonly upcasters?: Readonly<Record<number, { readonly from: new () => object }>>;
}

function earlierVersionsOf({ upcasters = {} }: EventClass) {
  return Object.values(upcasters).map(({ from }) => from);
}

it('this file describes the fields of every event in every version', () => {
  expect(contracts.map(({ event }) => event)).toEqual(events);
  expect(earlier.map(({ event }) => event)).toEqual(events.flatMap(earlierVersionsOf));
});

/** Returns data with a valid value in every field. */
function validOf(fields: Readonly<Record<string, { readonly accepted: readonly unknown[] }>>) {
  return Object.fromEntries(Object.entries(fields).map(([name, { accepted }]) => [name, accepted.at(-1)]));
}

describe.each(
  contracts.flatMap(({ event, fields }) => earlierVersionsOf(event).map((from) => ({ name: from.name, from, fields }))),
)('a service that knows only $name', ({ from, fields }) => {
  it('reads the current version, because it receives some during a deployment', () => {
    for (const [name, { accepted }] of Object.entries(fields))
      for (const value of accepted) expect(read(from, { ...validOf(fields), [name]: value }).invalid).toEqual([]);
  });
});

describe.each(
  [...contracts, ...earlier].map(({ event, fields }) => ({
    name: event.name,
    event: event as new () => object,
    fields,
  })),
)('$name', ({ event, fields }) => {
  const valid = validOf(fields);

  it('accepts every value that a released producer publishes', () => {
    for (const [name, { accepted }] of Object.entries(fields))
      for (const value of accepted) expect(read(event, { ...valid, [name]: value }).invalid).toEqual([]);
  });

  it('rejects every value that a column cannot store', () => {
    for (const [name, { rejected }] of Object.entries(fields))
      for (const value of rejected)
        expect([value, read(event, { ...valid, [name]: value }).invalid]).toEqual([value, [name]]);
  });

  it('contains no null and only lower-case ids after reading', () => {
    const data = Object.fromEntries(
      Object.entries(fields).map(([name, { accepted }]) => {
        const value = (accepted as unknown[]).includes(null) ? null : accepted[0];
        return [name, name.endsWith('Id') && value === id ? id.toUpperCase() : value];
      }),
    );

    const { instance, invalid } = read(event, data);

    expect(invalid).toEqual([]);
    expect(Object.values(instance)).not.toContain(null);
    expect(instance).toMatchObject({ orderId: id });
  });
});

it('reads a currency in capitals', () => {
  const { instance } = read(OrderPlaced, {
    orderId: id,
    customerId: 'ada',
    total: 900,
    currency: 'eur',
    items: [item],
  });

  expect(instance.currency).toBe('EUR');
});

it('gives every event class a version and the name of its type', () => {
  for (const [type, event] of Object.entries({ ...ORDER_EVENTS.events, ...PAYMENT_EVENTS.events })) {
    expect(event.name).toBe(type);
    expect(event.version).toBeGreaterThanOrEqual(1);
  }
});
