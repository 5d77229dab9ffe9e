import { type EntityManager } from 'typeorm';
import { type PaymentRequest, type PaymentStatus } from '../domain/payment-request.js';

export interface Step {
  /** The event's name: `PaymentRequested`, `RefundRequested`, `MessagePassedOver`, … */
  readonly type: string;
  /** After the step; null where the order has no payment. */
  readonly status: PaymentStatus | null;
  readonly version: number | null;
  readonly at: Date;
  readonly actor: string;
  readonly cause: string | null;
  /** The received message, or else the one published about the step. */
  readonly messageId: string | null;
  readonly detail: StepDetail | null;
}

export interface StepDetail {
  readonly reason?: string;
  /** The ignored message's type, in a `MessagePassedOver` or an `AmountMismatched`. */
  readonly type?: string;
  readonly expiresAt?: string;
  readonly jobId?: string;
}

export interface SavedRequest {
  readonly state: PaymentRequest;
  readonly steps: readonly Step[];
}

export interface Inserted {
  /** The cancellation of the order had arrived before. */
  readonly orderCancelled: boolean;
}

export type Expired = Pick<PaymentRequest, 'id' | 'expiresAt'>;

/** A locked request that has expired, and the database's time when it was read. */
export interface Due {
  readonly request: PaymentRequest;
  readonly now: Date;
}

/** Writes payment requests and, with them, their timelines, whose steps never change. */
export abstract class PaymentRequestStore {
  /** Must precede `insert`. Returns the database's time, so that replicas whose clocks differ agree on creation and expiry. */
  abstract beginInsert(tx: EntityManager): Promise<Date>;
  /** Adds a request and its first steps. When the order already has a request, writes nothing and returns undefined. */
  abstract insert(tx: EntityManager, state: PaymentRequest, steps: readonly Step[]): Promise<Inserted | undefined>;
  /** Locks a request until the transaction ends, so that the second of two concurrent decisions sees the first. */
  abstract lock(tx: EntityManager, id: string): Promise<PaymentRequest | undefined>;
  /** Locks and returns the requests that are free. Never waits, so transactions locking in different orders cannot deadlock. */
  abstract lockAvailable(tx: EntityManager, ids: readonly string[]): Promise<PaymentRequest[]>;
  abstract lockByOrder(tx: EntityManager, orderId: string): Promise<PaymentRequest | undefined>;
  /** Waits for transactions adding requests that are not visible yet. Later ones wait until this one ends, and see what it wrote. */
  abstract awaitInserts(tx: EntityManager): Promise<void>;
  /** Locks up to `limit` PENDING requests that have expired by the database's clock, and skips those that others have locked. */
  abstract lockExpired(tx: EntityManager, limit: number): Promise<Due[]>;
  /** Does the same for one request; undefined when it has not expired, is decided, or is locked by another transaction. */
  abstract lockIfExpired(tx: EntityManager, id: string): Promise<Due | undefined>;
  /** Returns up to `limit` PENDING requests after `after` that have expired by the database's clock, longest overdue first. */
  abstract findExpired(limit: number, after: Expired | undefined): Promise<Expired[]>;
  /** Writes the new states and the steps of locked requests in one statement. */
  abstract save(tx: EntityManager, saved: readonly SavedRequest[]): Promise<void>;
  /** Adds a step that changes nothing. The order may have no request. */
  abstract note(tx: EntityManager, orderId: string, step: Step): Promise<void>;
  /**
   * Marks a request, durably and in advance, as sent to the gateway. Returns undefined when it must not be charged: it is not PENDING, and
   * no charge was sent before. Once marked, only the gateway knows whether the money came, so the charge is sent again, with the same key,
   * until its result is known, whatever becomes of the request.
   */
  abstract markChargeSent(id: string, at: Date): Promise<PaymentRequest | undefined>;
  /** Does the same for many requests in one statement. Those that others have locked are left out too. */
  abstract markChargesSent(ids: readonly string[], at: Date): Promise<PaymentRequest[]>;
  /** Whether the request is no longer PENDING and was never sent to a gateway, so that no money moved or will move. */
  abstract isClosedUncharged(id: string): Promise<boolean>;
  abstract find(id: string): Promise<PaymentRequest | undefined>;
}
