import { openDraft, placeAtOnce } from '../domain/cart.js';
import { accepted, aNewOrder, aPlacedOrder, at, catalogue, later, payment } from '../../test/order.fixtures.js';
import { type OrderDecision, type OrderHead } from '../domain/order.js';
import { hearPayment } from '../domain/payment.js';
import { type Origin, stepsOf } from './order-timeline.js';

const byAda: Origin = { actor: 'customer:ada', cause: 'POST /orders' };
const heard: Origin = { actor: 'gateway', cause: 'PaymentFailed', messageId: 'heard' };

function steps(before: OrderHead['status'], decision: OrderDecision<OrderHead>, origin: Origin, published: string[]) {
  if (!decision.accepted) throw new Error(decision.rejection.code);
  return stepsOf(before, decision, origin, published);
}

it('an order that is placed at once has one step, which names its message', () => {
  expect(steps('DRAFT', placeAtOnce(aNewOrder(), catalogue, at), byAda, ['told'])).toEqual([
    {
      type: 'OrderPlaced',
      status: 'PLACED',
      version: 1,
      at,
      actor: 'customer:ada',
      cause: 'POST /orders',
      messageId: 'told',
      detail: { total: 900, currency: 'EUR' },
    },
  ]);
});

it('a draft has a step for every item, and no message', () => {
  expect(steps('DRAFT', openDraft(aNewOrder(), catalogue, at), byAda, [])).toMatchObject([
    { type: 'OrderOpened', status: 'DRAFT', version: 1, messageId: null, detail: null },
    { type: 'ItemAdded', status: 'DRAFT', version: 2, messageId: null, detail: { productId: 'tea', quantity: 2 } },
  ]);
});

it('what was heard names the message that said so, and what follows from it the one that tells of it', () => {
  const order = accepted(hearPayment(aPlacedOrder(), payment.requested, at));

  expect(steps('PAYMENT_PENDING', hearPayment(order, payment.failed, later), heard, ['told'])).toMatchObject([
    {
      type: 'PaymentFailed',
      status: 'PAYMENT_PENDING',
      version: 3,
      at: later,
      actor: 'gateway',
      cause: 'PaymentFailed',
      messageId: 'heard',
      detail: { reason: 'card declined' },
    },
    { type: 'OrderCancelled', status: 'CANCELLED', version: 4, messageId: 'told' },
  ]);
});

it('a message that was passed over is named, with why', () => {
  const order = accepted(hearPayment(aPlacedOrder(), payment.succeeded, at));

  expect(steps('COMPLETED', hearPayment(order, payment.failed, later), heard, [])).toMatchObject([
    {
      type: 'MessagePassedOver',
      status: 'COMPLETED',
      messageId: 'heard',
      detail: { type: 'PaymentFailed', reason: 'the payment was already SUCCEEDED' },
    },
  ]);
});
