import { type Order } from '../../apps/order-service/src/domain/order.js';
import { type Auditor } from './auditor.js';
import { type Move } from './move.js';
import { must } from './must.js';
import { answer, confirm, expire, receive, work } from './payment-moves.js';
import { deliver, retry } from './topic-moves.js';
import { PRODUCTS, SLOTS, TOPICS, type World } from './world.js';

/** Runs everything in flight to completion: messages and webhooks, jobs, calls, dead letters, timers. */
export async function drain(world: World, auditor: Auditor): Promise<void> {
  const moves = [...SLOTS.flatMap((slot) => restOf(slot)), expire(SLOTS.length)];
  for (let move = nextOf(moves, world); move; move = nextOf(moves, world))
    auditor.audit(move.name, await move.make(world));
}

function nextOf(moves: readonly Move[], world: World): Move | undefined {
  return moves.find(({ can }) => can(world));
}

function restOf(slot: number): Move[] {
  return [
    ...TOPICS.flatMap((topic) => [deliver(topic, slot), retry(topic, slot)]),
    receive(slot),
    answer(slot, 'SUCCEEDED', 0, false),
    work('charge', slot, 1),
    work('refund', slot, 1),
    confirm(slot, true),
  ];
}

/** Throws unless the drained world is in a valid final state. */
export function checkEnd({ world, tally }: Auditor): void {
  const orders = SLOTS.flatMap((slot) => world.order(slot) ?? []);
  for (const order of orders) checkOrder(world, order, tally);
  const kept = orders.filter(isPaid).reduce((sum, { total }) => sum + total, 0);
  const { charged, refunded } = world.payments.provider;
  must(sum(charged) - sum(refunded) === kept, 'the money kept must equal the total of all COMPLETED orders');

  if (orders.some(({ status }) => status === 'PAYMENT_PENDING')) return;
  for (const productId of PRODUCTS)
    must(world.reserved(productId) === 0, 'an order that has ended must not reserve stock');
}

function checkOrder(world: World, order: Order, tally: Auditor['tally']): void {
  const request = world.payments.requestOf(order.id);
  const { status } = order;
  const end = `${status}, ${request?.status ?? 'no payment'}`;
  tally.add(`end: ${end}`);
  const isWaiting = status === 'PAYMENT_PENDING' && request?.status === 'PENDING' && request.expiresAt > world.now;
  must(
    isWaiting || ['DRAFT', 'COMPLETED', 'FINISHED', 'CANCELLED'].includes(status),
    `an order must end, but it is ${end}`,
  );
  must(
    isPaid(order) === (request?.status === 'SUCCEEDED'),
    `COMPLETED or FINISHED if and only if SUCCEEDED, but it is ${end}`,
  );
  const isUnpaid = request ? ['FAILED', 'CANCELLED', 'REFUNDED'].includes(request.status) : status !== 'DRAFT';
  must(
    (status === 'CANCELLED') === isUnpaid,
    `CANCELLED if and only if there is no payment, or it is FAILED, CANCELLED or REFUNDED, but it is ${end}`,
  );
  const wasPlaced = world.orders.tables.messages.some(
    ({ orderId, type }) => orderId === order.id && type === 'OrderPlaced',
  );
  must(
    wasPlaced === (request !== undefined),
    `an order must have a payment request if and only if it was placed, but it is ${end}`,
  );
  must(
    order.payment?.status === request?.status,
    `an order must know its payment, but ${end} knows ${order.payment?.status}`,
  );
}

function isPaid({ status }: Order): boolean {
  return status === 'COMPLETED' || status === 'FINISHED';
}

function sum(amounts: ReadonlyMap<string, number>): number {
  return [...amounts.values()].reduce((all, amount) => all + amount, 0);
}
