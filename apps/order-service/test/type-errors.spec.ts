import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { typeErrors, withGiftMessage, withoutEvent } from '@twinbox/test-support/type-errors';

const RULES = ['order', 'payment', 'payment-snapshot'].map((name) => `apps/order-service/src/domain/${name}.ts`);

it('the rules compile as they are', () => {
  expect(typeErrors(RULES)).toEqual([]);
});

it.each([
  ...Object.keys(ORDER_EVENTS.events).map((event) => [event, 'order-events']),
  ...Object.keys(PAYMENT_EVENTS.events).map((event) => [event, 'payment-events']),
])('the rules do not compile after %s is removed from the map in %s.ts', (event, contract) => {
  const errors = typeErrors(RULES, `libs/contracts/src/${contract}.ts`, withoutEvent(event));

  expect(errors).toContainEqual(expect.stringContaining(`'"${event}"'`));
});

it.each([
  ['OrderPlacedV1,', 'libs/contracts/src/order-events.ts'],
  ['OrderedV1,', 'libs/messaging/src/message/event-data.spec.ts'],
])('an upcaster does not compile with another class than %s in %s', (from, file) => {
  const errors = typeErrors([file], file, (text) =>
    text.replace(`upcaster(${from}`, 'upcaster(Date,').replace(`upcaster(\n      ${from}`, 'upcaster(Date,'),
  );

  expect(errors).toContainEqual(expect.stringContaining("does not exist on type 'Date'"));
});

describe('a field that is added to', () => {
  const TABLES = ['order-table', 'product-table'].map((name) => `apps/order-service/src/adapters/postgres/${name}.ts`);

  it.each([
    ['OrderHead', 'apps/order-service/src/domain/order.ts'],
    ['OrderItem', 'apps/order-service/src/domain/order.ts'],
    ['Product', 'apps/order-service/src/domain/product.ts'],
    ['Step', 'apps/order-service/src/application/order-store.ts'],
  ])('%s does not compile without a column', (type, file) => {
    const errors = typeErrors(TABLES, file, withGiftMessage(type));

    expect(errors).toEqual([expect.stringContaining('giftMessage')]);
  });

  it('no type has a column', () => {
    expect(typeErrors(TABLES)).toEqual([]);
  });
});
