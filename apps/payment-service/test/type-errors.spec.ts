import { PAYMENT_EVENTS } from '@twinbox/contracts';
import { typeErrors, withGiftMessage, withoutEvent } from '@twinbox/test-support/type-errors';

const RULES = ['apps/payment-service/src/domain/payment-request.ts'];
const TABLES = ['apps/payment-service/src/adapters/postgres/payment-request-table.ts'];

it('the rules and the tables compile as they are', () => {
  expect(typeErrors([...RULES, ...TABLES])).toEqual([]);
});

it.each(Object.keys(PAYMENT_EVENTS.events))('the rules do not compile after %s is removed from its map', (event) => {
  const errors = typeErrors(RULES, 'libs/contracts/src/payment-events.ts', withoutEvent(event));

  expect(errors).toContainEqual(expect.stringContaining(`'"${event}"'`));
});

it.each([
  ['PaymentRequest', 'apps/payment-service/src/domain/payment-request.ts'],
  ['Step', 'apps/payment-service/src/application/payment-request-store.ts'],
])('a field that is added to %s does not compile without a column', (type, file) => {
  const errors = typeErrors(TABLES, file, withGiftMessage(type));

  expect(errors).toEqual([expect.stringContaining('giftMessage')]);
});
