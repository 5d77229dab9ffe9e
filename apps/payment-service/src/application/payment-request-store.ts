import { type EntityManager } from 'typeorm';
import { type PaymentRequest, type PaymentStatus } from '../domain/payment-request.js';
import { type TimelineStep } from './payment-timeline.js';

export const PAYMENT_SORTS = ['-created', 'created', '-amount', 'amount'] as const;
/** What a list is sorted by, and with a minus downwards: when the requests were created, or what is to be paid. */
export type PaymentSort = (typeof PAYMENT_SORTS)[number];

/** Which requests a list has; undefined narrows nothing, bounds are part of their range. */
export interface PaymentRequestFilter {
  /** Any of these. */
  readonly statuses: readonly PaymentStatus[] | undefined;
  readonly orderId: string | undefined;
  readonly customerId: string | undefined;
  /** Only this customer's, whatever else is said. */
  readonly own: string | undefined;
  /** In minor units, whatever the currency. */
  readonly amountMin: number | undefined;
  readonly amountMax: number | undefined;
  readonly createdFrom: Date | undefined;
  readonly createdTo: Date | undefined;
}

/** Where a page ended: what the sorts go by. */
export interface PaymentPosition {
  readonly amount: number;
  readonly id: string;
}

export interface PaymentListing {
  readonly filter: PaymentRequestFilter;
  readonly sort: PaymentSort;
  /** None for the first page. */
  readonly after: PaymentPosition | undefined;
  readonly limit: number;
}

/** What a request became, and the steps that led there. */
export interface PaymentChange {
  readonly state: PaymentRequest;
  readonly steps: readonly TimelineStep[];
}

/** A request that was just added. */
export interface Opened {
  /** Its order is known to be cancelled: the message of that came first. */
  readonly orderCancelled: boolean;
}

/** A request whose time is over, and its place among them. */
export type Expired = Pick<PaymentRequest, 'id' | 'expiresAt'>;

/** A locked request that has expired, and the database's time at which it was read. */
export interface Due {
  readonly request: PaymentRequest;
  readonly now: Date;
}

export abstract class PaymentRequestStore {
  /**
   * Has to come before `open`, and gives the time of the new request by the database's clock: replicas whose own clocks differ
   * agree on when a request is created and expires.
   */
  abstract beginOpening(tx: EntityManager): Promise<Date>;
  /** Adds a new request and its first step; undefined when the order has a request already: then nothing is written. */
  abstract open(tx: EntityManager, state: PaymentRequest, step: TimelineStep): Promise<Opened | undefined>;
  /** The request, locked until the transaction ends: of two who decide, the second sees what the first decided. */
  abstract lock(tx: EntityManager, id: string): Promise<PaymentRequest | undefined>;
  /**
   * Those of the requests that nobody else has locked, locked. It never waits while it holds locks, so that whoever locks several in
   * another order cannot wait for it in a circle.
   */
  abstract lockAvailable(tx: EntityManager, ids: readonly string[]): Promise<PaymentRequest[]>;
  abstract lockByOrder(tx: EntityManager, orderId: string): Promise<PaymentRequest | undefined>;
  /**
   * Waits for those who are just adding requests that this transaction cannot see yet. Whoever adds one from then on waits for the
   * end of this transaction, and sees what it wrote.
   */
  abstract awaitOpenings(tx: EntityManager): Promise<void>;
  /** Up to `limit` PENDING requests whose time is over by the database's clock, locked; those locked by others are left out. */
  abstract lockExpired(tx: EntityManager, limit: number): Promise<Due[]>;
  /** The same of one request; undefined when its time is not over, when it is decided, or when somebody else has locked it. */
  abstract lockIfExpired(tx: EntityManager, id: string): Promise<Due | undefined>;
  /** Up to `limit` PENDING requests whose time is over by the database's clock, the longest first, from behind `after` on. */
  abstract findExpired(limit: number, after: Expired | undefined): Promise<Expired[]>;
  /** Writes what locked requests became, with the steps, in one statement. */
  abstract save(tx: EntityManager, changes: readonly PaymentChange[]): Promise<void>;
  /**
   * Notes, durably and before it happens, that the request is about to be charged; undefined when it must not be: it is not PENDING,
   * and no charge of it has been sent before. From then on only the gateway knows whether the money came, so the charge is sent
   * again, with the same key, until its result is known, whatever has become of the request.
   */
  abstract noteCharge(id: string, at: Date): Promise<PaymentRequest | undefined>;
  /** The same for many in one statement, but for those that somebody else has locked: they are left out too. */
  abstract noteCharges(ids: readonly string[], at: Date): Promise<PaymentRequest[]>;
  /** Whether the request is not PENDING any more, and was never sent to a gateway: no money moved, and none will. */
  abstract isOverUncharged(id: string): Promise<boolean>;
  abstract find(id: string): Promise<PaymentRequest | undefined>;
  /**
   * The first `limit` after `after`. What the sorts go by never changes, so every request that was there when paging began, and meets
   * the filter throughout, is on exactly one page.
   */
  abstract list(listing: PaymentListing): Promise<PaymentRequest[]>;
}
