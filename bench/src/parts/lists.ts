import 'reflect-metadata';
import { type TestDatabase } from '@twinbox/messaging/testing';
import { PostgresOrderList } from '@twinbox/order-service/lists';
import { DataSource } from 'typeorm';
import { type Figure, median } from '../support/figures.js';
import { createOrders, customersOf, PRODUCTS } from '../lists/shop.js';
import { type Servers } from '../support/servers.js';

type OrderListing = Parameters<PostgresOrderList['list']>[0];
type OrderFilter = OrderListing['filter'];

/** Twenty, plus one that shows whether there are more. */
const PAGE = 21;
const STATUSES = [['FINISHED'], ['PLACED'], ['PLACED', 'PAYMENT_PENDING'], ['COMPLETED', 'CANCELLED']] as const;

/** The filters of a list in a shop with so many orders. They vary, because the same page would be in the cache. */
const SHAPES: Readonly<Record<string, (orders: number) => OrderFilter>> = {
  'own list': (orders) => ({ customerId: `customer-${below(customersOf(orders))}` }),
  'by status': () => ({ statuses: STATUSES[below(STATUSES.length)] ?? STATUSES[0] }),
  'by product': () => ({ productId: `product-${1 + below(PRODUCTS)}` }),
  'by total range': () => {
    const totalMin = 1000 + below(20_000);
    return { totalMin, totalMax: Math.round(totalMin * 1.2) };
  },
};

/** Measures reading a page of orders with the code of order-service, in a small and in a large shop. */
export async function lists(servers: Servers): Promise<Figure[]> {
  const sizes = servers.quick ? [1000, 100_000] : [10_000, 1_000_000];
  const rounds = servers.quick ? 50 : 500;
  const beginRound = servers.rounds(sizes.length + Object.keys(SHAPES).length);
  const shops: Shop[] = [];
  try {
    for (const orders of sizes) {
      beginRound(`creating ${orders} orders`);
      shops.push(await openShop(servers, orders));
    }
    const figures: Figure[] = [];
    for (const [name, filterOf] of Object.entries(SHAPES)) {
      beginRound(name);
      // The first reads fill the caches.
      await measure(shops, filterOf, Math.ceil(rounds / 5));
      const [small = NaN, large = NaN] = (await measure(shops, filterOf, rounds)).map(median);
      const value = `${small.toFixed(2)} / ${large.toFixed(2)}`;
      figures.push(
        { what: `${name}, a page at ${sizes.join(' / ')} orders, p50 in ms`, value },
        { what: '  large / small', value: (large / small).toFixed(2), goal: '≤ 1.5' },
      );
    }
    return figures;
  } finally {
    for (const { close } of shops) await close();
  }
}

interface Shop {
  readonly orders: number;
  readonly list: PostgresOrderList;
  readonly close: () => Promise<void>;
}

async function openShop({ databaseUrl }: Servers, orders: number): Promise<Shop> {
  const database: TestDatabase = await createOrders(databaseUrl, orders);
  const dataSource = await new DataSource({ type: 'postgres', url: database.url, poolSize: 1 }).initialize();
  return {
    orders,
    list: new PostgresOrderList(dataSource),
    async close() {
      await dataSource.destroy();
      await database.drop();
    },
  };
}

/** Reads the first and the second page in each shop by turns, so that other load on the machine affects all alike. Returns ms by shop. */
async function measure(
  shops: readonly Shop[],
  filterOf: (orders: number) => OrderFilter,
  rounds: number,
): Promise<number[][]> {
  const times = shops.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { list, orders }] of shops.entries()) {
      const filter = filterOf(orders);
      let after: OrderListing['after'];
      for (let page = 0; page < 2; page++) {
        const began = performance.now();
        const found = await list.list({ filter, sort: '-created', after, limit: PAGE });
        times[index]?.push(performance.now() - began);
        after = found.at(-2);
      }
    }
  }
  return times;
}

function below(limit: number): number {
  return Math.floor(Math.random() * limit);
}
