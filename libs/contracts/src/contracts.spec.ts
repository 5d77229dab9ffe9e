import { validateSync } from 'class-validator';
import { ORDER_EVENTS, OrderPlaced, PAYMENT_EVENTS, PaymentFailed } from './index.js';

const orderId = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

/** The fields that break their rules. */
function broken(data: object): string[] {
  return validateSync(data, { forbidUnknownValues: false }).map(({ property }) => property);
}

describe('OrderPlaced', () => {
  const valid = { orderId, customerId: 'ada', total: 900, currency: 'EUR' };

  it.each([
    [{}, []],
    [{ orderId: 'no-uuid' }, ['orderId']],
    [{ customerId: '' }, ['customerId']],
    [{ customerId: 'x'.repeat(256) }, ['customerId']],
    [{ total: 0 }, ['total']],
    [{ total: 9.5 }, ['total']],
    [{ total: '900' }, ['total']],
    [{ currency: 'EURO' }, ['currency']],
  ])('with %j breaks %j', (fields, properties) => {
    expect(broken(Object.assign(new OrderPlaced(), valid, fields))).toEqual(properties);
  });
});

it('PaymentFailed needs a reason', () => {
  const valid = { orderId, paymentRequestId: orderId };

  expect(broken(Object.assign(new PaymentFailed(), valid))).toEqual(['reason']);
  expect(broken(Object.assign(new PaymentFailed(), valid, { reason: 'declined' }))).toEqual([]);
});

it('every event class has a version and carries the name of its type', () => {
  for (const [type, event] of Object.entries({ ...ORDER_EVENTS.events, ...PAYMENT_EVENTS.events })) {
    expect(event.name).toBe(type);
    expect(event.version).toBeGreaterThanOrEqual(1);
  }
});
