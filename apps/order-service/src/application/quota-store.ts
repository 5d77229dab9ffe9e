import { type EntityManager } from 'typeorm';
import { type Holdings } from '../domain/quotas.js';

export interface HoldingsQuery {
  readonly productIds: readonly string[];
  /** Unpaid orders beyond this number are not read. */
  readonly maxOrders: number;
}

/** Until the transaction ends, no other one that locks the customer opens or places an order for them. */
export abstract class QuotaStore {
  abstract lockHoldings(tx: EntityManager, customerId: string, query: HoldingsQuery): Promise<Holdings>;
  /** Locks and returns those customers whom nobody else has locked. Never waits. */
  abstract lockAvailable(
    tx: EntityManager,
    customerIds: readonly string[],
    query: HoldingsQuery,
  ): Promise<ReadonlyMap<string, Holdings>>;
  /** Counts the drafts of the customer up to `most`. */
  abstract lockDrafts(tx: EntityManager, customerId: string, most: number): Promise<number>;
}
