import fc from 'fast-check';
import { type OrderCommand } from '../../apps/order-service/src/application/order-commands.js';
import { type Line } from '../../apps/order-service/src/domain/product.js';
import { aProduct, aSlot, type Move } from './move.js';
import { must } from './must.js';
import { isReserved } from './order-side.js';
import { PRODUCTS, type World } from './world.js';

const aQuantity = fc.integer({ min: 1, max: 3 });
const someLines = fc.array(fc.record({ productId: aProduct, quantity: aQuantity }), { maxLength: 2 });
/** The version of the order that a client says it has seen. */
const aVersion = fc.constantFrom('any', 'any', 'the last', 'an old');

type Decision =
  { readonly accepted: true } | { readonly accepted: false; readonly rejection: { readonly code: string } };
type Version = 'any' | 'the last' | 'an old';

function open(slot: number, lines: readonly Line[], how: 'cart' | 'order'): Move {
  return {
    name: `open ${how} ${slot}: ${lines.map(({ productId, quantity }) => `${quantity} ${productId}`).join(', ')}`,
    can: ({ ids }) => !ids.has(slot),
    make: async (world) => {
      const { database, editCart, placeOrder } = world.orders;
      const wanted = { customerId: 'ada', description: null, lines };
      const origin = { actor: 'customer:ada', cause: 'POST /orders' };
      const isLawful = !isMixed(lines) && (how === 'cart' || (lines.length > 0 && isEnough(world, lines)));

      const decision = await database.request((tx) =>
        how === 'cart' ? editCart.open(tx, wanted, origin) : placeOrder.atOnce(tx, wanted, origin),
      );

      must(decision.accepted === isLawful, `what is there can be ordered, and nothing else; not so a new ${how}`);
      if (decision.accepted) world.ids.set(slot, decision.state.id);
      return refusalOf(decision);
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
        `a cart is edited while it is one; not so: ${how}`,
      );
      if (!decision.accepted) return decision.rejection.code;
      const item = world.order(slot)!.items.find(({ productId }) => productId === line.productId);
      must(item?.quantity === wanted, `a cart has what was put into it; not so after: ${how}`);
      return undefined;
    },
  };
}

/** `behind`: somebody buys after the stock was read, and before it is reserved. */
function place(slot: number, version: Version, behind: boolean): Move {
  return {
    name: `place cart ${slot}, version ${version}${behind ? ', and somebody is faster' : ''}`,
    can: (world) => world.order(slot)?.status === 'DRAFT',
    make: async (world) => {
      const { orders } = world;
      const { shortAtLast } = orders;
      const { items } = world.order(slot)!;
      const isLawful = version !== 'an old' && items.length > 0 && isEnough(world, items);
      const command = commandOf(world, slot, 'ada', version);

      orders.readsBehind = behind;
      const decision = await orders.database.request((tx) => orders.placeOrder.draft(tx, command, []));
      orders.readsBehind = false;

      // Who has read that there was too little is refused, though there may be more by now.
      must(
        decision.accepted === isLawful || (behind && !decision.accepted),
        'what is there can be ordered, and nothing else; not so a cart',
      );
      return orders.shortAtLast > shortAtLast ? 'somebody was faster' : refusalOf(decision);
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
      const isLawful = who !== 'a stranger' && version !== 'an old' && (order.status === 'DRAFT' || isReserved(order));
      const command = commandOf(world, slot, who, version);

      const decision = await database.request((tx) => cancelOrder.execute(tx, command, 'changed my mind'));

      must(
        decision.accepted === isLawful,
        `an order is cancelled before it is paid, by those who may; not so when ${order.status}`,
      );
      return refusalOf(decision);
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
        `an order is finished once it is COMPLETED; not so when ${status}`,
      );
      return refusalOf(decision);
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
      must(decision.accepted === stock >= reserved, 'what is reserved is in stock');
      return refusalOf(decision) ?? 'only the stock has changed';
    },
  };
}

export const opening = fc
  .tuple(aSlot, someLines, fc.constantFrom('cart', 'order', 'order'))
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
  .map(([slot, version, behind]) => place(slot, version, behind));
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

function refusalOf(decision: Decision): string | undefined {
  return decision.accepted ? undefined : decision.rejection.code;
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
