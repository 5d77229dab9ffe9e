import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import {
  ORDER_EVENTS,
  OrderCancelled,
  OrderCompleted,
  OrderFinished,
  OrderPlaced,
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

/** The values that each field accepts and rejects, in line with its column and the HTTP rules. */
const contracts = [
  {
    event: OrderPlaced,
    fields: {
      ...order,
      total: {
        rejected: [undefined, null, 0, -1, 9.5, '900', 1e19, Number.MAX_SAFE_INTEGER + 1, []],
        accepted: [1, Number.MAX_SAFE_INTEGER],
      },
      currency: {
        rejected: [undefined, null, '', 'EURO', 'ABC', 'EU', 978, ['EUR']],
        accepted: ['EUR', 'eur', 'XCG', 'ANG', 'XTS', 'XXX'],
      },
    },
  },
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

it('this file describes the fields of every event', () => {
  const described = contracts.map(({ event }) => event.name);

  expect(described).toEqual(Object.keys({ ...ORDER_EVENTS.events, ...PAYMENT_EVENTS.events }));
});

describe.each(contracts.map(({ event, fields }) => ({ name: event.name, event: event as new () => object, fields })))(
  '$name',
  ({ event, fields }) => {
    const valid = Object.fromEntries(Object.entries(fields).map(([name, { accepted }]) => [name, accepted.at(-1)]));

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
  },
);

it('reads a currency in capitals', () => {
  const { instance } = read(OrderPlaced, { orderId: id, customerId: 'ada', total: 900, currency: 'eur' });

  expect(instance.currency).toBe('EUR');
});

it('gives every event class a version and the name of its type', () => {
  for (const [type, event] of Object.entries({ ...ORDER_EVENTS.events, ...PAYMENT_EVENTS.events })) {
    expect(event.name).toBe(type);
    expect(event.version).toBeGreaterThanOrEqual(1);
  }
});
