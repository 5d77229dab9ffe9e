import { type EntityManager } from 'typeorm';
import { aPlacedOrder, accepted, later, payment } from '../../test/order.fixtures.js';
import { type Order } from '../domain/order.js';
import { applyPaymentEvent } from '../domain/payment.js';
import { FinishOrder } from './finish-order.js';
import { OrderJournal, type Requester } from './order-journal.js';
import { type OrderStore } from './order-store.js';

const order: Order = accepted(applyPaymentEvent(aPlacedOrder(), payment.succeeded, later));
const tx = {} as EntityManager;

/** FinishOrder over a single order, with the statuses it saved. */
function aShop() {
  const saved: string[] = [];
  const orders: Pick<OrderStore, 'lock' | 'save'> = {
    lock: async () => order,
    save: async (_, { status }) => void saved.push(status),
  };
  const clock = { now: () => later };
  const journal = new OrderJournal(orders as OrderStore, { add: async () => ['message'] } as never, clock);
  const finishOrder = new FinishOrder(journal, clock);
  const finish = (by: Requester) =>
    finishOrder.execute(tx, {
      orderId: order.id,
      by,
      precondition: {},
      actor: `customer:${by.userId}`,
      cause: 'POST /orders/:orderId/finish',
    });
  return { finish, saved };
}

it('P10 an operator can finish an order', async () => {
  const { finish, saved } = aShop();

  expect(await finish({ userId: 'olga', isOperator: true })).toMatchObject({ accepted: true });

  expect(saved).toEqual(['FINISHED']);
});

it.each([
  ['its customer, who may see it', 'ada', 'operator-required'],
  ['another customer, who may not see it', 'grace', 'order-not-found'],
])('P10 an order cannot be finished by %s, even if the edge lets the request through', async (_, userId, code) => {
  const { finish, saved } = aShop();

  const decision = await finish({ userId, isOperator: false });

  expect(decision).toEqual({ accepted: false, rejection: { code, orderId: order.id } });
  expect(saved).toEqual([]);
});
