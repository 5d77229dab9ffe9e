import { type InboxLetter, type ParkedMessage } from '@twinbox/client/admin';
import { stuckOrders } from './stuck-orders.js';

const letter = {
  id: '1',
  box: 'inbox',
  key: 'order-1',
  type: 'PaymentSucceeded',
  error: 'it is broken',
  diedAt: '2026-12-01T10:00:00Z',
} as InboxLetter;
const parked = {
  id: '2',
  box: 'inbox',
  key: 'order-1',
  type: 'PaymentRefunded',
  error: null,
  since: '2026-12-01T09:00:00Z',
} as ParkedMessage;

it('groups the messages of both services by their order, a dead one before those that wait for it', () => {
  const other = { ...letter, key: 'order-2', diedAt: '2026-12-01T08:00:00Z' };

  const found = stuckOrders([
    { service: 'orders', letters: [letter], parked: [parked] },
    { service: 'payments', letters: [other], parked: [] },
  ]);

  expect(found.map(({ orderId, blockages }) => [orderId, blockages.map(({ state }) => state)])).toEqual([
    ['order-2', ['dead']],
    ['order-1', ['dead', 'parked']],
  ]);
  expect(found[1]?.since).toBe(parked.since);
});

it('leaves out messages that name no order', () => {
  const found = stuckOrders([{ service: 'orders', letters: [{ ...letter, key: null }], parked: [] }]);

  expect(found).toEqual([]);
});
