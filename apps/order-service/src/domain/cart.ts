import { reject, type Rejected } from '@twinbox/kernel';
import {
  type CartEvent,
  changed,
  type Order,
  type OrderDecision,
  type OrderItem,
  type OrderRejection,
} from './order.js';
import { type Catalogue, type Line, type PriceChange } from './product.js';

export const MAX_PRODUCTS = 100;
/** Per product in an order. */
export const MAX_PIECES = 1_000_000;

export interface WantedLine extends Line {
  /** The price that the client expects, if it names one. */
  readonly unitPrice?: number | undefined;
}

export interface ExpectedPrice {
  readonly productId: string;
  readonly unitPrice: number;
}

export interface NewOrder {
  readonly orderId: string;
  readonly customerId: string;
  readonly description: string | null;
  /** Lines for the same product are merged. */
  readonly lines: readonly WantedLine[];
}

export function openDraft(wanted: NewOrder, catalogue: Catalogue, at: Date): OrderDecision {
  const opened = changed(emptyDraft(wanted, at), at, { type: 'OrderOpened', data: {} });
  const filled = addItems(opened.state, wanted.lines, catalogue, at);
  if (!filled.accepted) return filled;
  return { ...filled, steps: [...opened.steps, ...filled.steps] };
}

/** Adds to a draft. What the cart already has of these products is repriced as well. */
export function addItems(order: Order, lines: readonly WantedLine[], catalogue: Catalogue, at: Date): OrderDecision {
  if (order.status !== 'DRAFT') return wrongStatus(order);
  const added = merged(lines);
  const held = new Map(order.items.map(({ productId, quantity }) => [productId, quantity]));
  const wanted = added.map(({ productId, quantity }) => ({
    productId,
    quantity: quantity + (held.get(productId) ?? 0),
  }));

  const contents = priced(order, wanted, lines.filter(hasPrice), catalogue);
  if ('rejection' in contents) return contents;
  const events = added.map((line): CartEvent => {
    const unitPrice = catalogue.product(line.productId)?.price ?? 0;
    return { type: 'ItemAdded', data: { ...line, unitPrice } };
  });
  return changed({ ...order, ...contents }, at, ...events);
}

/** Sets the quantity of a product in a draft. A smaller quantity keeps its price; a larger one takes the current price. */
export function changeItem(order: Order, wanted: WantedLine, catalogue: Catalogue, at: Date): OrderDecision {
  if (order.status !== 'DRAFT') return wrongStatus(order);
  const { productId, quantity } = wanted;
  const held = order.items.find((item) => item.productId === productId);
  if (!held) return reject({ code: 'item-not-found', orderId: order.id, productId });

  const more = quantity - held.quantity;
  if (more > 0) return addItems(order, [{ ...wanted, quantity: more }], catalogue, at);
  const mispriced = priceChanges([wanted].filter(hasPrice), catalogue);
  if (mispriced.length > 0) return reject({ code: 'price-changed', changed: mispriced });
  if (more === 0) return changed(order, at);
  const items = order.items.map((item) => (item === held ? { ...item, quantity } : item));
  return changed({ ...order, items, total: totalOf(items) }, at, {
    type: 'ItemRemoved',
    data: { productId, quantity: -more },
  });
}

export function removeItem(order: Order, productId: string, at: Date): OrderDecision {
  if (order.status !== 'DRAFT') return wrongStatus(order);
  const held = order.items.find((item) => item.productId === productId);
  if (!held) return reject({ code: 'item-not-found', orderId: order.id, productId });

  const items = order.items.filter((item) => item !== held);
  const currency = items.length === 0 ? null : order.currency;
  return changed({ ...order, items, total: totalOf(items), currency }, at, {
    type: 'ItemRemoved',
    data: { productId, quantity: held.quantity },
  });
}

/** DRAFT → PLACED at the catalogue's prices: a later price change does not reach a placed order. */
export function placeDraft(
  order: Order,
  expected: readonly ExpectedPrice[],
  catalogue: Catalogue,
  at: Date,
): OrderDecision {
  if (order.status !== 'DRAFT') return wrongStatus(order);
  const unexpected = expected.find(({ productId }) => !order.items.some((item) => item.productId === productId));
  if (unexpected) return reject({ code: 'item-not-found', orderId: order.id, productId: unexpected.productId });

  return place(order, order.items, expected, catalogue, at);
}

/** Places a new order that nobody ever sees as a draft. */
export function placeAtOnce(wanted: NewOrder, catalogue: Catalogue, at: Date): OrderDecision {
  return place(emptyDraft(wanted, at), merged(wanted.lines), wanted.lines.filter(hasPrice), catalogue, at);
}

/**
 * Rejects an order if, before its products were locked, another order took the stock or an operator changed a price. A changed price is
 * rejected even if the client named none, so that nobody pays a price they could not see.
 */
export function recheckUnderLock(placed: Order, locked: Catalogue): Rejected<OrderRejection> | undefined {
  const repriced = placed.items.flatMap(({ productId, unitPrice: expected }): PriceChange[] => {
    const product = locked.product(productId);
    if (!product || (product.price === expected && product.currency === placed.currency)) return [];
    return [{ productId, expected, actual: product.price, currency: product.currency }];
  });
  if (repriced.length > 0) return reject({ code: 'price-changed', changed: repriced });
  const short = locked.shortages(placed.items);
  return short.length > 0 ? reject({ code: 'insufficient-stock', short }) : undefined;
}

function place(
  order: Order,
  wanted: readonly Line[],
  expected: readonly ExpectedPrice[],
  catalogue: Catalogue,
  at: Date,
): OrderDecision {
  const { id: orderId, customerId } = order;
  const contents = priced({ id: orderId, items: [], currency: null }, wanted, expected, catalogue);
  if ('rejection' in contents) return contents;
  const { items, total, currency } = contents;
  if (currency === null) return reject({ code: 'order-empty', orderId });
  const short = catalogue.shortages(items);
  if (short.length > 0) return reject({ code: 'insufficient-stock', short });

  const data = { orderId, customerId, total, currency, items };
  return changed({ ...order, ...contents }, at, { type: 'OrderPlaced', data });
}

function merged(lines: readonly Line[]): Line[] {
  const sums = new Map<string, number>();
  for (const { productId, quantity } of lines) sums.set(productId, (sums.get(productId) ?? 0) + quantity);
  return [...sums].map(([productId, quantity]) => ({ productId, quantity }));
}

type Contents = Pick<Order, 'items' | 'total' | 'currency'>;

/** Sets the wanted products to the wanted quantities at the catalogue's prices, and keeps the other items. */
function priced(
  order: Pick<Order, 'id' | 'items' | 'currency'>,
  wanted: readonly Line[],
  expected: readonly ExpectedPrice[],
  catalogue: Catalogue,
): Contents | Rejected<OrderRejection> {
  const { id: orderId } = order;
  const unknown = wanted.map(({ productId }) => productId).filter((productId) => !catalogue.product(productId));
  if (unknown.length > 0) return reject({ code: 'product-unknown', productIds: unknown });
  const mispriced = priceChanges(expected, catalogue);
  if (mispriced.length > 0) return reject({ code: 'price-changed', changed: mispriced });
  const oversized = wanted.find(({ quantity }) => quantity > MAX_PIECES);
  if (oversized)
    return reject({ code: 'quantity-too-large', orderId, productId: oversized.productId, most: MAX_PIECES });

  const items = new Map(order.items.map((item) => [item.productId, item]));
  // Only items that keep their price fix the currency, because the shop may have changed the currency of the repriced ones.
  const repriced = new Set(wanted.map(({ productId }) => productId));
  const isKept = order.items.some(({ productId }) => !repriced.has(productId));
  const currencies = new Set(isKept && order.currency !== null ? [order.currency] : []);
  for (const { productId, quantity } of wanted) {
    const product = catalogue.product(productId);
    if (!product) continue;
    currencies.add(product.currency);
    items.set(productId, { productId, name: product.name, quantity, unitPrice: product.price });
  }
  if (items.size > MAX_PRODUCTS) return reject({ code: 'too-many-products', orderId, most: MAX_PRODUCTS });
  const [currency = null] = currencies;
  if (currencies.size > 1) return reject({ code: 'mixed-currencies', currencies: [...currencies] });
  const total = totalOf([...items.values()]);
  if (!Number.isSafeInteger(total)) return reject({ code: 'order-total-too-large', orderId });
  return { items: [...items.values()], total, currency };
}

function priceChanges(expected: readonly ExpectedPrice[], catalogue: Catalogue): PriceChange[] {
  return expected.flatMap(({ productId, unitPrice }) => {
    const product = catalogue.product(productId);
    if (!product || product.price === unitPrice) return [];
    return [{ productId, expected: unitPrice, actual: product.price, currency: product.currency }];
  });
}

function hasPrice(line: WantedLine): line is WantedLine & ExpectedPrice {
  return line.unitPrice !== undefined;
}

function totalOf(items: readonly OrderItem[]): number {
  return items.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0);
}

function wrongStatus({ id: orderId, status: actual }: Order): Rejected<OrderRejection> {
  return reject({ code: 'order-wrong-status', orderId, actual });
}

function emptyDraft({ orderId: id, customerId, description }: NewOrder, at: Date): Order {
  return {
    id,
    customerId,
    status: 'DRAFT',
    description,
    items: [],
    total: 0,
    currency: null,
    payment: null,
    cancelReason: null,
    dueAt: null,
    version: 0,
    createdAt: at,
    updatedAt: at,
  };
}
