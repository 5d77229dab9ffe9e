// Prints the plans in docs/lists.md: `npm run build && node bench/dist/lists/plans.js [orders]`
import 'reflect-metadata';
import { PostgresOrderList } from '@twinbox/order-service/lists';
import { startPostgres } from '@twinbox/tools';
import { DataSource } from 'typeorm';
import { createOrders } from './shop.js';

type OrderListing = Parameters<PostgresOrderList['list']>[0];

const now = Date.now();
const daysAgo = (days: number) => new Date(now - days * 24 * 3600 * 1000);
const aMinuteAgo = new Date(now - 60_000);

/** The lists in docs/lists.md, in its order. */
const LISTS: Readonly<Record<string, Partial<OrderListing>>> = {
  'of all': {},
  own: { filter: { customerId: 'customer-7' } },
  'own, by total': { filter: { customerId: 'customer-7' }, sort: '-total' },
  'own, with statuses': { filter: { customerId: 'customer-7', statuses: ['PLACED', 'PAYMENT_PENDING'] } },
  status: { filter: { statuses: ['FINISHED'] } },
  statuses: { filter: { statuses: ['PLACED', 'PAYMENT_PENDING', 'CANCELLED'] } },
  product: { filter: { productId: 'product-7' } },
  'product and a common status': { filter: { productId: 'product-7', statuses: ['CANCELLED'] } },
  'product and a rare status': { filter: { productId: 'product-7', statuses: ['PLACED'] } },
  'product, by total': { filter: { productId: 'product-7' }, sort: '-total' },
  'a narrow total range': { filter: { totalMin: 10_000, totalMax: 10_020 } },
  'a wide total range': { filter: { totalMin: 10_000, totalMax: 12_000 } },
  'a total range, by total': { filter: { totalMin: 10_000, totalMax: 12_000 }, sort: 'total' },
  'by total': { sort: '-total' },
  'a rare status, by total': { filter: { statuses: ['PLACED'] }, sort: '-total' },
  'ten days': { filter: { createdFrom: daysAgo(60), createdTo: daysAgo(50) } },
  'ten days of statuses': {
    filter: { createdFrom: daysAgo(60), createdTo: daysAgo(50), statuses: ['CANCELLED', 'DRAFT'] },
  },
  late: { filter: { late: { isLate: true, placedBefore: aMinuteAgo, pendingBefore: aMinuteAgo } } },
  everything: {
    filter: {
      statuses: ['FINISHED', 'COMPLETED'],
      productId: 'product-7',
      totalMin: 5000,
      totalMax: 50_000,
      createdFrom: daysAgo(60),
      createdTo: daysAgo(1),
    },
  },
};

const server = await startPostgres();
try {
  const database = await createOrders(server.url, Number(process.argv[2] ?? 1_000_000));
  const dataSource = await new DataSource({ type: 'postgres', url: database.url, poolSize: 1 }).initialize();
  const plan: Plan[] = [];
  const explaining = {
    async query(text: string, values: unknown[]): Promise<object[]> {
      // The first run fills the caches.
      await dataSource.query(text, values);
      plan.push(
        ...(await dataSource.query<Plan[]>(`explain (analyze, buffers, costs off, timing off) ${text}`, values)),
      );
      return [];
    },
  };
  const list = new PostgresOrderList(explaining as unknown as DataSource);
  for (const [name, listing] of Object.entries(LISTS)) {
    await list.list({ filter: {}, sort: '-created', after: undefined, limit: 21, ...listing });
    console.log(
      `\n## ${name}\n${plan
        .splice(0)
        .map((line) => line['QUERY PLAN'])
        .join('\n')}`,
    );
  }
  await dataSource.destroy();
} finally {
  await server.remove();
}
process.exit(0);

interface Plan {
  readonly 'QUERY PLAN': string;
}
