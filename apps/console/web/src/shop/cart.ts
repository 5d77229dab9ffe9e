import { type Product } from '@twinbox/client/orders';

/** A line of the cart. The price and the currency are those that the customer has seen. */
export interface CartLine {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  /** In minor units of the currency. */
  readonly unitPrice: number;
  readonly currency: string;
}

export type Cart = readonly CartLine[];

/** An order has at most as many products, and pieces of each. */
const MOST_LINES = 100;
const MOST_PIECES = 1_000_000;

/** Adds pieces of a product. Its price becomes the one that is shown now. */
export function added(cart: Cart, { id, name, price, currency }: Product, quantity = 1): Cart {
  const before = cart.find(({ productId }) => productId === id);
  const line = {
    productId: id,
    name,
    quantity: bounded((before?.quantity ?? 0) + quantity),
    unitPrice: price,
    currency,
  };
  if (before) return cart.map((one) => (one === before ? line : one));
  return cart.length < MOST_LINES ? [...cart, line] : cart;
}

/** Sets how many pieces of a product are in the cart. Zero removes it. */
export function withQuantity(cart: Cart, productId: string, quantity: number): Cart {
  if (quantity <= 0) return cart.filter((line) => line.productId !== productId);
  return cart.map((line) => (line.productId === productId ? { ...line, quantity: bounded(quantity) } : line));
}

/** Takes the current prices of products, after the customer has been told that they have changed. */
export function repriced(cart: Cart, prices: Readonly<Record<string, number>>): Cart {
  return cart.map((line) => ({ ...line, unitPrice: prices[line.productId] ?? line.unitPrice }));
}

export interface Total {
  readonly amount: number;
  readonly currency: string;
}

/** The totals by currency. An order has one currency, so a cart with two totals cannot be placed. */
export function totals(cart: Cart): readonly Total[] {
  const sums = new Map<string, number>();
  for (const { currency, quantity, unitPrice } of cart)
    sums.set(currency, (sums.get(currency) ?? 0) + quantity * unitPrice);
  return [...sums].map(([currency, amount]) => ({ currency, amount }));
}

export const pieces = (cart: Cart): number => cart.reduce((sum, { quantity }) => sum + quantity, 0);

/** Reads a cart that was stored before, perhaps by another version of the page. What is not a line is left out. */
export function cartFrom(text: string | null): Cart {
  try {
    const stored: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(stored) ? stored.filter(isLine).slice(0, MOST_LINES) : [];
  } catch {
    return [];
  }
}

function isLine(value: unknown): value is CartLine {
  const { productId, name, quantity, unitPrice, currency } = Object(value) as Partial<Record<keyof CartLine, unknown>>;
  const isPositive = (n: unknown) => Number.isSafeInteger(n) && (n as number) > 0;
  return (
    typeof productId === 'string' &&
    typeof name === 'string' &&
    typeof currency === 'string' &&
    /^[A-Z]{3}$/.test(currency) &&
    isPositive(quantity) &&
    isPositive(unitPrice)
  );
}

const bounded = (quantity: number) => Math.min(MOST_PIECES, Math.max(1, Math.trunc(quantity)));
