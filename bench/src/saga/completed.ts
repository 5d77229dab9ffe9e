import { type Usage } from '../support/usage.js';
import { type Shop } from './shop.js';

/** Counts the orders that were completed in between. It counts afterwards, so that counting costs nothing, by the clock of the services, which is this machine's. */
export async function completedBetween({ database }: Shop, before: Usage, after: Usage): Promise<number> {
  const [row] = await database.sql<{ orders: number }>(
    `select count(*)::int as orders from orders.orders where status = 'COMPLETED' and updated_at >= $1 and updated_at < $2`,
    [before.at, after.at],
  );
  return row?.orders ?? 0;
}
