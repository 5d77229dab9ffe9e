import { Injectable } from '@nestjs/common';
import { allDone, BatchedStatement } from '@twinbox/messaging';
import { DataSource, type EntityManager } from 'typeorm';
import {
  type Expired,
  type Opened,
  type PaymentChange,
  type PaymentListing,
  PaymentRequestStore,
} from '../../application/payment-request-store.js';
import { type TimelineStep } from '../../application/payment-timeline.js';
import { type PaymentRequest } from '../../domain/payment-request.js';
import { paymentListStatement } from './payment-request-list.js';
import { REQUEST_COLUMNS } from './payment-request-schema.js';
import { selectSteps, STEP_COLUMNS, stepRows } from './timeline-rows.js';

/** Of a `request`: its order is known to be cancelled. */
const ORDER_CANCELLED = `
  exists (select from payments.payment_timeline as heard
           where heard.order_id = request.order_id and heard.cause = 'OrderCancelled')`;
/** Of a request: its charge may be sent. */
const MAY_BE_CHARGED = `(charge_sent_at is not null or status = 'PENDING')`;
/** Shared by those who add requests, and held alone by who must see them all. */
const OPENINGS = `hashtextextended('payments.payment_requests', 0)`;

interface Opening {
  readonly state: PaymentRequest;
  readonly step: TimelineStep;
}

@Injectable()
export class PostgresPaymentRequestStore extends PaymentRequestStore {
  private readonly opened = new BatchedStatement<Opening, Opened | undefined>(openAll);

  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async open(tx: EntityManager, state: PaymentRequest, step: TimelineStep): Promise<Opened | undefined> {
    return this.opened.run(tx, { state, step });
  }

  // payment_requests_pkey, here and wherever an id is given.
  override async lock(tx: EntityManager, id: string): Promise<PaymentRequest | undefined> {
    return only(
      await tx.query(
        `/* prepared */ select ${REQUEST_COLUMNS} from payments.payment_requests where id = $1 for update`,
        [id],
      ),
    );
  }

  override async lockAvailable(tx: EntityManager, ids: readonly string[]): Promise<PaymentRequest[]> {
    return tx.query(
      `/* prepared */ select ${REQUEST_COLUMNS} from payments.payment_requests where id = any($1::uuid[]) for update skip locked`,
      [ids],
    );
  }

  // payment_requests_order
  override async lockByOrder(tx: EntityManager, orderId: string): Promise<PaymentRequest | undefined> {
    return only(
      await tx.query(
        `/* prepared */ select ${REQUEST_COLUMNS} from payments.payment_requests where order_id = $1 for update`,
        [orderId],
      ),
    );
  }

  override async awaitOpenings(tx: EntityManager): Promise<void> {
    await tx.query(`select pg_advisory_xact_lock(${OPENINGS})`);
  }

  // payment_requests_expiry
  override async lockExpired(tx: EntityManager, at: Date, limit: number): Promise<PaymentRequest[]> {
    return tx.query(
      `select ${REQUEST_COLUMNS} from payments.payment_requests
        where status = 'PENDING' and expires_at <= $1
        order by expires_at limit $2 for update skip locked`,
      [at, limit],
    );
  }

  // payment_requests_expiry
  override async findExpired(at: Date, limit: number, after: Expired | undefined): Promise<Expired[]> {
    return this.dataSource.query(
      `select id, expires_at as "expiresAt" from payments.payment_requests
        where status = 'PENDING' and expires_at <= $1 and ($3::timestamptz is null or (expires_at, id) > ($3, $4::uuid))
        order by expires_at, id limit $2`,
      [at, limit, after?.expiresAt, after?.id],
    );
  }

  override async save(tx: EntityManager, changes: readonly PaymentChange[]): Promise<void> {
    const states = changes.map(({ state }) => state);
    // The ids as an array too: the planner takes the join for a large one, and reads the whole table.
    await tx.query(
      `/* prepared */ with changed as (
         update payments.payment_requests as request
            set status = state.status, reason = state.reason, decided_by = state.decided_by,
                version = state.version, updated_at = state.updated_at
           from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::timestamptz[])
             as state (id, status, reason, decided_by, version, updated_at)
          where request.id = any($1::uuid[]) and request.id = state.id)
       insert into payments.payment_timeline (${STEP_COLUMNS})
       ${selectSteps('$7')} order by s.n`,
      [
        states.map(({ id }) => id),
        states.map(({ status }) => status),
        states.map(({ reason }) => reason),
        states.map(({ decidedBy }) => decidedBy),
        states.map(({ version }) => version),
        states.map(({ updatedAt }) => updatedAt.toISOString()),
        JSON.stringify(changes.flatMap(({ state, steps }) => stepRows(state.orderId, steps))),
      ],
    );
  }

  // By itself, so committed before the call. One that is cancelled at this moment is charged, and what came is refunded.
  override async noteCharge(id: string, at: Date): Promise<PaymentRequest | undefined> {
    const [rows]: [PaymentRequest[], number] = await this.dataSource.query(
      `/* prepared */ update payments.payment_requests
          set charge_sent_at = coalesce(charge_sent_at, $2)
        where id = $1 and ${MAY_BE_CHARGED}
       returning ${REQUEST_COLUMNS}`,
      [id, at],
    );
    return only(rows);
  }

  override async noteCharges(ids: readonly string[], at: Date): Promise<PaymentRequest[]> {
    const [rows]: [PaymentRequest[], number] = await this.dataSource.query(
      `/* prepared */ with available as materialized (
         select id from payments.payment_requests
          where id = any($1::uuid[]) and ${MAY_BE_CHARGED}
            for update skip locked)
       update payments.payment_requests
          set charge_sent_at = coalesce(charge_sent_at, $2)
        where id = any(array(select id from available))
       returning ${REQUEST_COLUMNS}`,
      [ids, at],
    );
    return rows;
  }

  override async isOverUncharged(id: string): Promise<boolean> {
    const found: unknown[] = await this.dataSource.query(
      `select from payments.payment_requests where id = $1 and not ${MAY_BE_CHARGED}`,
      [id],
    );
    return found.length > 0;
  }

  override async find(id: string): Promise<PaymentRequest | undefined> {
    return only(
      await this.dataSource.query(`select ${REQUEST_COLUMNS} from payments.payment_requests where id = $1`, [id]),
    );
  }

  override async list(listing: PaymentListing): Promise<PaymentRequest[]> {
    const { text, values } = paymentListStatement(listing);
    return this.dataSource.query(text, [...values]);
  }
}

function only([request]: readonly PaymentRequest[]): PaymentRequest | undefined {
  return request;
}

// The conflict is served by payment_requests_order, what was heard by payment_timeline_pkey.
async function openAll(tx: EntityManager, openings: readonly Opening[]): Promise<(Opened | undefined)[]> {
  const states = openings.map(({ state }) => state);
  // In a statement of its own: the next one sees what was committed while this one waited.
  const alone = tx.query(`/* prepared */ select pg_advisory_xact_lock_shared(${OPENINGS})`);
  const added: Promise<(Opened & { readonly id: string })[]> = tx.query(
    `/* prepared */ with request as (
       insert into payments.payment_requests
         (id, order_id, customer_id, amount, currency, status, version, expires_at, created_at, updated_at, gateway)
       select id, order_id, customer_id, amount, currency, status, version, expires_at, created_at, created_at, gateway
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::int[],
                     $8::timestamptz[], $9::timestamptz[], $10::text[])
           as state (id, order_id, customer_id, amount, currency, status, version, expires_at, created_at, gateway)
           on conflict (order_id) do nothing
       returning id, order_id),
     step as (
       insert into payments.payment_timeline (${STEP_COLUMNS})
       ${selectSteps('$11')} where s.order_id in (select order_id from request) order by s.n)
     select id, ${ORDER_CANCELLED} as "orderCancelled"
       from request`,
    [
      states.map(({ id }) => id),
      states.map(({ orderId }) => orderId),
      states.map(({ customerId }) => customerId),
      states.map(({ amount }) => amount),
      states.map(({ currency }) => currency),
      states.map(({ status }) => status),
      states.map(({ version }) => version),
      states.map(({ expiresAt }) => expiresAt.toISOString()),
      states.map(({ createdAt }) => createdAt.toISOString()),
      states.map(({ gateway }) => gateway),
      JSON.stringify(openings.flatMap(({ state, step }) => stepRows(state.orderId, [step]))),
    ],
  );
  const [, rows] = await allDone([alone, added]);
  const opened = new Map(rows.map((row) => [row.id, { orderCancelled: row.orderCancelled }]));
  return states.map(({ id }) => opened.get(id));
}
