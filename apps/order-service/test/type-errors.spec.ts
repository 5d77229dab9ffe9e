import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { typeErrors } from './type-errors.js';

const RULES = ['order', 'payment', 'payment-snapshot'].map((name) => `apps/order-service/src/domain/${name}.ts`);

/** Removes an event from a topic's map. */
function without(event: string) {
  return (text: string) =>
    text.replace(/(?<=events: \{)[^}]*/, (names) =>
      names
        .split(',')
        .filter((name) => name.trim() !== event)
        .join(','),
    );
}

it('the rules compile as they are', () => {
  expect(typeErrors(RULES)).toEqual([]);
});

it.each([
  ...Object.keys(ORDER_EVENTS.events).map((event) => [event, 'order-events']),
  ...Object.keys(PAYMENT_EVENTS.events).map((event) => [event, 'payment-events']),
])('the rules do not compile after %s is removed from the map in %s.ts', (event, contract) => {
  const errors = typeErrors(RULES, `libs/contracts/src/${contract}.ts`, without(event!));

  expect(errors).toContainEqual(expect.stringContaining(`'"${event}"'`));
});
