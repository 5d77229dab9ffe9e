import { type Facts } from './facts.js';

/** The order statuses whose items are sold or reserved. */
const HOLDING_STOCK = new Set(['PLACED', 'PAYMENT_PENDING', 'COMPLETED', 'FINISHED']);

/** The initial stock and the additions of operators are available, returned or sold: nothing is sold twice or lost. */
export function stockIsConserved({ stock, orders }: Facts): string[] {
  const held = new Map<string, number>();
  for (const { items } of orders.filter(({ status }) => HOLDING_STOCK.has(status)))
    for (const { productId, quantity } of items) held.set(productId, (held.get(productId) ?? 0) + quantity);
  return stock.flatMap(({ productId, initial, put, available, released }) => {
    const sold = held.get(productId) ?? 0;
    return [
      ...(available < 0 || released < 0
        ? [`the stock of ${productId} is negative: ${available} available, ${released} returned`]
        : []),
      ...(initial + put === available + released + sold
        ? []
        : [
            `the stock of ${productId} does not add up: ${initial} initial and ${put} added, ` +
              `but ${available} available, ${released} returned and ${sold} sold`,
          ]),
    ];
  });
}

/** A PUT of a product is stored as it was answered, plus the stock that cancelled orders returned while it was written. */
export function productsMatchPuts({ puts, stockChanges }: Facts): string[] {
  const changes = new Map(stockChanges.map((change) => [`${change.productId}, version ${change.version}`, change]));
  return puts.flatMap(({ productId, version, available }) => {
    const name = `${productId}, version ${version}`;
    const change = changes.get(name);
    if (!change) return [`${name}, was accepted but does not exist`];
    const more = change.available - available;
    return more >= 0 && more <= change.folded
      ? []
      : [
          `${name}, was answered with ${available} available but stored with ${change.available}, ${change.folded} of them returned`,
        ];
  });
}
