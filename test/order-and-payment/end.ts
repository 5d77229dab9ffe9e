import { type Order } from '../../apps/order-service/src/domain/order.js';
import { type Books } from './auditor.js';
import { type Move } from './move.js';
import { must } from './must.js';
import { answer, confirm, expire, receive, work } from './payment-moves.js';
import { deliver, retry } from './topic-moves.js';
import { PRODUCTS, SLOTS, TOPICS, type World } from './world.js';

/** Lets everything that is under way come to its end: messages and webhooks, jobs, calls, dead letters, timers. */
export async function drain(world: World, books: Books): Promise<void> {
  const moves = [...SLOTS.flatMap((slot) => restOf(slot)), expire(SLOTS.length)];
  for (let move = nextOf(moves, world); move; move = nextOf(moves, world))
    books.audit(move.name, await move.make(world));
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

/** Throws unless the world, drained, has ended lawfully. */
export function holdEnd({ world, tally }: Books): void {
  const orders = SLOTS.flatMap((slot) => world.order(slot) ?? []);
  for (const order of orders) holdOrder(world, order, tally);
  const kept = orders.filter(isPaid).reduce((sum, { total }) => sum + total, 0);
  const { charged, refunded } = world.payments.provider;
  must(sum(charged) - sum(refunded) === kept, 'the money that is kept is the total of what was COMPLETED');

  if (orders.some(({ status }) => status === 'PAYMENT_PENDING')) return;
  for (const productId of PRODUCTS)
    must(world.reserved(productId) === 0, 'nothing is reserved for an order that is over');
}

function holdOrder(world: World, order: Order, tally: Books['tally']): void {
  const request = world.payments.requestOf(order.id);
  const { status } = order;
  const end = `${status}, ${request?.status ?? 'no payment'}`;
  tally.add(`end: ${end}`);
  const isWaiting = status === 'PAYMENT_PENDING' && request?.status === 'PENDING' && request.expiresAt > world.now;
  must(isWaiting || ['DRAFT', 'COMPLETED', 'FINISHED', 'CANCELLED'].includes(status), `an order ends; not so ${end}`);
  must(
    isPaid(order) === (request?.status === 'SUCCEEDED'),
    `COMPLETED or FINISHED if and only if SUCCEEDED; not so ${end}`,
  );
  const isUnpaid = request ? ['FAILED', 'CANCELLED', 'REFUNDED'].includes(request.status) : status !== 'DRAFT';
  must(
    (status === 'CANCELLED') === isUnpaid,
    `CANCELLED if and only if there is no payment, or it is FAILED, CANCELLED or REFUNDED; not so ${end}`,
  );
  const wasPlaced = world.orders.tables.messages.some(
    ({ orderId, type }) => orderId === order.id && type === 'OrderPlaced',
  );
  must(wasPlaced === (request !== undefined), `what was placed has a payment request, and nothing else; not so ${end}`);
  must(order.payment?.status === request?.status, `an order knows its payment; ${end} knows ${order.payment?.status}`);
}

function isPaid({ status }: Order): boolean {
  return status === 'COMPLETED' || status === 'FINISHED';
}

function sum(amounts: ReadonlyMap<string, number>): number {
  return [...amounts.values()].reduce((all, amount) => all + amount, 0);
}
