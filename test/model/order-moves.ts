import fc from 'fast-check';
import { type OrderCommand } from '../../apps/order-service/src/application/order-journal.js';
import { type Line } from '../../apps/order-service/src/domain/product.js';
import { aProduct, aSlot, type Move } from './move.js';
import { must } from './must.js';
import { isDraft, isReserved, MAX_DRAFTS, MAX_UNPAID_ORDERS } from './order-side.js';
import { PRODUCTS, type World } from './world.js';

const aQuantity = fc.integer({ min: 1, max: 3 });
const someLines = fc.array(fc.record({ productId: aProduct, quantity: aQuantity }), { maxLength: 2 });
/** The version of the order that a client claims to have seen. */
const aVersion = fc.constantFrom('any', 'any', 'the last', 'an old');

type Decision =
  { readonly accepted: true } | { readonly accepted: false; readonly rejection: { readonly code: string } };
type Version = 'any' | 'the last' | 'an old';

function open(slot: number, lines: readonly Line[], how: 'cart' | 'order' | 'group'): Move {
  return {
    name: `open ${how} ${slot}: ${lines.map(({ productId, quantity }) => `${quantity} ${productId}`).join(', ')}`,
    can: ({ ids }) => !ids.has(slot),
    make: async (world) => {
      const { database, editCart, placeOrder, placeTogether } = world.orders;
      const wanted = { customerId: 'ada', description: null, lines };
      const origin = { actor: 'customer:ada', cause: 'POST /orders' };
      const isAllowed =
        !isMixed(lines) &&
        (how === 'cart' ? mayOpen(world) : lines.length > 0 && isEnough(world, lines) && mayPlace(world));

      const decision = await database.request(async (tx) => {
        if (how === 'cart') return editCart.open(tx, wanted, origin);
        // Two orders in one transaction would be two moves, so the group has one.
        const [placed] = how === 'group' ? await placeTogether.execute(tx, [{ wanted, origin }]) : [];
        return placed ?? placeOrder.atOnce(tx, wanted, origin);
      });

      must(
        decision.accepted === isAllowed,
        `an order must be accepted if and only if the stock and the quotas allow it, unlike this new ${how}`,
      );
      if (decision.accepted) world.ids.set(slot, decision.state.id);
      return rejectionOf(decision);
    },
  };
}

function edit(slot: number, how: 'add' | 'change' | 'remove', line: Line, version: Version): Move {
  return {
    name: `${how} in cart ${slot}: ${line.quantity} ${line.productId}, version ${version}`,
    can: (world) => world.ids.has(slot),
    make: async (world) => {
      const { database, editCart } = world.orders;
      const { status, items } = world.order(slot)!;
      const held = items.find(({ productId }) => productId === line.productId)?.quantity ?? 0;
      const isFit = how === 'add' ? !isMixed([...items, line]) : held > 0;
      const wanted = { add: held + line.quantity, change: line.quantity, remove: undefined }[how];
      const command = commandOf(world, slot, 'ada', version);

      const decision = await database.request((tx) => {
        if (how === 'add') return editCart.add(tx, command, [line]);
        return how === 'change' ? editCart.change(tx, command, line) : editCart.remove(tx, command, line.productId);
      });

      must(
        decision.accepted === (status === 'DRAFT' && version !== 'an old' && isFit),
        `a cart must be editable if and only if it is a draft (${how})`,
      );
      if (!decision.accepted) return decision.rejection.code;
      const item = world.order(slot)!.items.find(({ productId }) => productId === line.productId);
      must(item?.quantity === wanted, `a cart must contain what was put into it (${how})`);
      return undefined;
    },
  };
}

/** `stale`: a sale commits after the stock was read, before it is reserved. */
function place(slot: number, version: Version, stale: boolean): Move {
  return {
    name: `place cart ${slot}, version ${version}${stale ? ', after a concurrent sale' : ''}`,
    can: (world) => world.order(slot)?.status === 'DRAFT',
    make: async (world) => {
      const { orders } = world;
      const { shortWhenReserving } = orders;
      const { items } = world.order(slot)!;
      const isAllowed = version !== 'an old' && items.length > 0 && isEnough(world, items) && mayPlace(world);
      const command = commandOf(world, slot, 'ada', version);

      orders.staleReads = stale;
      const decision = await orders.database.request((tx) => orders.placeOrder.draft(tx, command, []));
      orders.staleReads = false;

      // A caller who read that there was too little is rejected, even if there is more by now.
      must(
        decision.accepted === isAllowed || (stale && !decision.accepted),
        'a cart must be placed if and only if the stock and the quotas allow it',
      );
      return orders.shortWhenReserving > shortWhenReserving ? 'a concurrent sale' : rejectionOf(decision);
    },
  };
}

function cancel(slot: number, who: string, version: Version): Move {
  return {
    name: `cancel order ${slot}, by ${who}, version ${version}`,
    can: (world) => world.ids.has(slot),
    make: async (world) => {
      const { database, cancelOrder } = world.orders;
      const order = world.order(slot)!;
      const isAllowed = who !== 'a stranger' && version !== 'an old' && (order.status === 'DRAFT' || isReserved(order));
      const command = commandOf(world, slot, who, version);

      const decision = await database.request((tx) => cancelOrder.execute(tx, command, 'changed my mind'));

      must(
        decision.accepted === isAllowed,
        `an order must be cancellable before it is paid, by permitted callers only, but it is ${order.status}`,
      );
      return rejectionOf(decision);
    },
  };
}

function finish(slot: number): Move {
  return {
    name: `finish order ${slot}`,
    can: (world) => world.ids.has(slot),
    make: async (world) => {
      const { database, finishOrder } = world.orders;
      const { status } = world.order(slot)!;
      const command = commandOf(world, slot, 'an operator', 'any');

      const decision = await database.request((tx) => finishOrder.execute(tx, command));

      must(
        decision.accepted === (status === 'COMPLETED'),
        `an order must be finishable if and only if it is COMPLETED, but it is ${status}`,
      );
      return rejectionOf(decision);
    },
  };
}

function count(productId: string, stock: number, price: number): Move {
  return {
    name: `an operator counts ${stock} ${productId}, at ${price}`,
    can: () => true,
    make: async (world) => {
      const reserved = world.reserved(productId);
      const decision = await world.put(productId, stock, price);
      must(decision.accepted === stock >= reserved, 'the stock must cover what is reserved');
      return rejectionOf(decision) ?? 'only the stock changed';
    },
  };
}

export const opening = fc
  .tuple(aSlot, someLines, fc.constantFrom('cart', 'order', 'group'))
  .map(([slot, lines, how]) => open(slot, lines, how));
export const editing = fc
  .tuple(
    aSlot,
    fc.constantFrom('add', 'change', 'remove'),
    fc.record({ productId: aProduct, quantity: aQuantity }),
    aVersion,
  )
  .map(([slot, how, line, version]) => edit(slot, how, line, version));
export const placing = fc
  .tuple(aSlot, aVersion, fc.boolean())
  .map(([slot, version, stale]) => place(slot, version, stale));
export const cancelling = fc
  .tuple(aSlot, fc.constantFrom('ada', 'an operator', 'a stranger'), aVersion)
  .map(([slot, who, version]) => cancel(slot, who, version));
export const finishing = aSlot.map((slot) => finish(slot));
export const counting = fc
  .tuple(aProduct, fc.nat(8), fc.constantFrom(100, 120))
  .map(([productId, stock, price]) => count(productId, stock, price));

/** An order has one currency; see `World.put`. */
function isMixed(lines: readonly { readonly productId: string }[]): boolean {
  return new Set(lines.map(({ productId }) => productId === 'mug')).size > 1;
}

function rejectionOf(decision: Decision): string | undefined {
  return decision.accepted ? undefined : decision.rejection.code;
}

function mayOpen({ orders }: World): boolean {
  return orders.count(isDraft) < MAX_DRAFTS;
}

function mayPlace({ orders }: World): boolean {
  return orders.count(isReserved) < MAX_UNPAID_ORDERS;
}

function isEnough(world: World, lines: readonly Line[]): boolean {
  return PRODUCTS.every((product) => {
    const wanted = lines.reduce((sum, { productId, quantity }) => sum + (productId === product ? quantity : 0), 0);
    return wanted <= world.orders.available(product);
  });
}

function commandOf(world: World, slot: number, who: string, seen: Version): OrderCommand {
  const { id: orderId, version } = world.order(slot)!;
  const precondition = { any: {}, 'the last': { expected: [version] }, 'an old': { expected: [version - 1] } }[seen];
  const by = { userId: who, isOperator: who === 'an operator' };
  return {
    orderId,
    by,
    precondition,
    actor: `${by.isOperator ? 'operator' : 'customer'}:${who}`,
    cause: 'POST /orders/:orderId',
  };
}
