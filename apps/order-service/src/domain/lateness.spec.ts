import { isLate } from './lateness.js';
import { ORDER_STATUSES } from './order.js';
import { at } from '../../test/order.fixtures.js';

const after = (ms: number) => new Date(at.getTime() + ms);

it.each([
  ['PLACED', 30_000, false],
  ['PLACED', 30_001, true],
  ['PAYMENT_PENDING', -900_000, false],
  ['PAYMENT_PENDING', 60_000, false],
  ['PAYMENT_PENDING', 60_001, true],
] as const)('an order that is %s is late %i ms past its due time: %s', (status, ms, late) => {
  expect(isLate({ status, dueAt: at }, after(ms), 30_000)).toBe(late);
});

it.each(ORDER_STATUSES)('an order that is %s and waits for nothing is never late', (status) => {
  expect(isLate({ status, dueAt: null }, after(1e12), 0)).toBe(false);
});
