import { openDraft, placeAtOnce } from '../domain/cart.js';
import { accepted, aNewOrder, aPlacedOrder, at, catalogue, later, payment } from '../../test/order.fixtures.js';
import { type OrderDecision, type OrderHead } from '../domain/order.js';
import { applyPaymentEvent } from '../domain/payment.js';
import { entriesOf, type Origin } from './order-journal.js';

const byAda: Origin = { actor: 'customer:ada', cause: 'POST /orders' };
const received: Origin = { actor: 'gateway', cause: 'PaymentFailed', messageId: 'received' };

/** Returns the steps of a decision, with `published` for the ids of its messages. */
function steps(decision: OrderDecision<OrderHead>, origin: Origin) {
  if (!decision.accepted) throw new Error(decision.rejection.code);
  const { steps, messages } = entriesOf(decision, origin);
  const isPublished = (messageId: string | null) => messages.some(({ id }) => id === messageId);
  return steps.map((step) => (isPublished(step.messageId) ? { ...step, messageId: 'published' } : step));
}

it('an order placed at once has one step, which refers to its message', () => {
  expect(steps(placeAtOnce(aNewOrder(), catalogue, at), byAda)).toEqual([
    {
      type: 'OrderPlaced',
      status: 'PLACED',
      version: 1,
      at,
      actor: 'customer:ada',
      cause: 'POST /orders',
      messageId: 'published',
      detail: { total: 900, currency: 'EUR' },
    },
  ]);
});

it('a draft has a step for every item, and no message', () => {
  expect(steps(openDraft(aNewOrder(), catalogue, at), byAda)).toMatchObject([
    { type: 'OrderOpened', status: 'DRAFT', version: 1, messageId: null, detail: null },
    { type: 'ItemAdded', status: 'DRAFT', version: 2, messageId: null, detail: { productId: 'tea', quantity: 2 } },
  ]);
});

it('a received event refers to its message, and an event that follows from it to the published one', () => {
  const order = accepted(applyPaymentEvent(aPlacedOrder(), payment.requested, at));

  expect(steps(applyPaymentEvent(order, payment.failed, later), received)).toMatchObject([
    {
      type: 'PaymentFailed',
      status: 'PAYMENT_PENDING',
      version: 3,
      at: later,
      actor: 'gateway',
      cause: 'PaymentFailed',
      messageId: 'received',
      detail: { reason: 'card declined' },
    },
    { type: 'OrderCancelled', status: 'CANCELLED', version: 4, messageId: 'published' },
  ]);
});

it('an ignored message is recorded with the reason', () => {
  const order = accepted(applyPaymentEvent(aPlacedOrder(), payment.succeeded, at));

  expect(steps(applyPaymentEvent(order, payment.failed, later), received)).toMatchObject([
    {
      type: 'MessagePassedOver',
      status: 'COMPLETED',
      messageId: 'received',
      detail: { type: 'PaymentFailed', reason: 'the payment was already SUCCEEDED' },
    },
  ]);
});
