import { type Facts } from './facts.js';

/** Whose pieces are not on the shelf any more, or are spoken for. */
const HOLD = new Set(['PLACED', 'PAYMENT_PENDING', 'COMPLETED', 'FINISHED']);

/** What was there, and what operators have put there, is there or belongs to somebody: nothing is sold twice or leaks away. */
export function stockIsConserved({ stock, orders }: Facts): string[] {
  const held = new Map<string, number>();
  for (const { items } of orders.filter(({ status }) => HOLD.has(status)))
    for (const { productId, quantity } of items) held.set(productId, (held.get(productId) ?? 0) + quantity);
  return stock.flatMap(({ productId, initial, put, available, released }) => {
    const sold = held.get(productId) ?? 0;
    return [
      ...(available < 0 || released < 0 ? [`of ${productId} there are ${available} and ${released}`] : []),
      ...(initial + put === available + released + sold
        ? []
        : [`of ${productId} there were ${initial} and ${put}, and are ${available}, ${released} and ${sold} sold`]),
    ];
  });
}

/** An operator's word stands as it was answered, but for what cancelled orders gave back while it was written. */
export function productsAreAsPut({ puts, stockChanges }: Facts): string[] {
  const changes = new Map(stockChanges.map((change) => [`${change.productId}, version ${change.version}`, change]));
  return puts.flatMap(({ productId, version, available }) => {
    const name = `${productId}, version ${version}`;
    const change = changes.get(name);
    if (!change) return [`${name}, was accepted and is not there`];
    const more = change.available - available;
    return more >= 0 && more <= change.folded
      ? []
      : [
          `${name}, was put with ${available} available and written with ${change.available}, ${change.folded} of it given back`,
        ];
  });
}
