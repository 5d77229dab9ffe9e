import { Inject, Injectable } from '@nestjs/common';
import { LockGate, MESSAGING_DATA_SOURCE } from '@twinbox/api-kit';
import { BatchedStatement, prepared } from '@twinbox/messaging/transactions';
import { DataSource, type EntityManager } from 'typeorm';
import {
  type Due,
  type Expired,
  type Inserted,
  PaymentRequestStore,
  type SavedRequest,
  type Step,
} from '../../application/payment-request-store.js';
import { type PaymentRequest } from '../../domain/payment-request.js';
import { INSERT_STEPS, insertStepsWhere, REQUEST_COLUMNS, requestColumns, stepRows } from './payment-request-table.js';

const ORDER_IS_CANCELLED = `
  exists (select from payments.payment_timeline as received
           where received.order_id = request.order_id and received.cause = 'OrderCancelled')`;
const MAY_BE_CHARGED = `(charge_sent_at is not null or status = 'PENDING')`;
/** The clock of the database, which all replicas share. It is constant within a statement, so an index can serve comparisons with it. */
const DATABASE_NOW = 'statement_timestamp()';
/** An advisory lock: shared by transactions that add requests, exclusive for one that must see all of them. */
const INSERTS = `hashtextextended('payments.payment_requests', 0)`;

/** Everything that a decision may change. The rest stays as it was inserted. */
const changingColumns = requestColumns.without(
  'orderId',
  'customerId',
  'amount',
  'currency',
  'gateway',
  'createdAt',
  'expiresAt',
);

// The ids are also compared with the array itself, because for a large one the planner would take the join and read the whole table.
const SAVE = prepared(`with changed as (
  update payments.payment_requests as request
     set ${changingColumns.without('id').assignments('state')}
    from unnest(${changingColumns.arrayPlaceholders(2)}) as state (${changingColumns.names})
   where request.id = any($2::uuid[]) and request.id = state.id)
  ${INSERT_STEPS}`);

// payment_requests_order serves the conflict, payment_timeline_cancelled the search for a cancellation.
const INSERT = prepared(`with request as (
  insert into payments.payment_requests (${requestColumns.names})
  select ${requestColumns.names}
    from unnest(${requestColumns.arrayPlaceholders(2)}) as state (${requestColumns.names})
      on conflict (order_id) do nothing
  returning id, order_id),
  steps as (${insertStepsWhere('order_id in (select order_id from request)')})
  select id, ${ORDER_IS_CANCELLED} as "orderCancelled"
    from request`);

@Injectable()
export class PostgresPaymentRequestStore extends PaymentRequestStore {
  private readonly beginnings = new BatchedStatement<'insert', Date>(beginInserts);
  private readonly inserts = new BatchedStatement<SavedRequest, Inserted | undefined>(insertAll);
  private readonly gate: LockGate;

  /** `background` is for queries that jobs and timers make outside of their transactions. */
  constructor(
    private readonly dataSource: DataSource,
    @Inject(MESSAGING_DATA_SOURCE) private readonly background: DataSource,
  ) {
    super();
    this.gate = new LockGate(dataSource);
  }

  override async beginInsert(tx: EntityManager): Promise<Date> {
    return this.beginnings.run(tx, 'insert');
  }

  override async insert(
    tx: EntityManager,
    state: PaymentRequest,
    steps: readonly Step[],
  ): Promise<Inserted | undefined> {
    return this.inserts.run(tx, { state, steps });
  }

  // Uses payment_requests_pkey, as do all queries by id.
  override async lock(tx: EntityManager, id: string): Promise<PaymentRequest | undefined> {
    const statement = prepared(`select ${REQUEST_COLUMNS} from payments.payment_requests where id = $1 for update`);
    const locked = this.gate.run(tx, [id], (): Promise<PaymentRequest[]> => tx.query(statement, [id]));
    return only(await locked);
  }

  override async lockAvailable(tx: EntityManager, ids: readonly string[]): Promise<PaymentRequest[]> {
    return tx.query(
      prepared(
        `select ${REQUEST_COLUMNS} from payments.payment_requests where id = any($1::uuid[]) for update skip locked`,
      ),
      [ids],
    );
  }

  // payment_requests_order
  override async lockByOrder(tx: EntityManager, orderId: string): Promise<PaymentRequest | undefined> {
    return only(
      await tx.query(
        prepared(`select ${REQUEST_COLUMNS} from payments.payment_requests where order_id = $1 for update`),
        [orderId],
      ),
    );
  }

  override async awaitInserts(tx: EntityManager): Promise<void> {
    await tx.query(`select pg_advisory_xact_lock(${INSERTS})`);
  }

  // payment_requests_expiry
  override async lockExpired(tx: EntityManager, limit: number): Promise<Due[]> {
    return dueRequests(
      await tx.query(
        `select ${REQUEST_COLUMNS}, ${DATABASE_NOW} as now from payments.payment_requests
          where status = 'PENDING' and expires_at <= ${DATABASE_NOW}
          order by expires_at limit $1 for update skip locked`,
        [limit],
      ),
    );
  }

  override async lockIfExpired(tx: EntityManager, id: string): Promise<Due | undefined> {
    const [due] = dueRequests(
      await tx.query(
        // `case` hides the conditions from the planner, which could otherwise read all overdue requests (payment_requests_expiry).
        `select ${REQUEST_COLUMNS}, ${DATABASE_NOW} as now from payments.payment_requests
          where id = $1 and case when status = 'PENDING' then expires_at <= ${DATABASE_NOW} end for update skip locked`,
        [id],
      ),
    );
    return due;
  }

  // payment_requests_expiry
  override async findExpired(limit: number, after: Expired | undefined): Promise<Expired[]> {
    return this.background.query(
      `select id, expires_at as "expiresAt" from payments.payment_requests
        where status = 'PENDING' and expires_at <= ${DATABASE_NOW}
          and ($2::timestamptz is null or (expires_at, id) > ($2, $3::uuid))
        order by expires_at, id limit $1`,
      [limit, after?.expiresAt, after?.id],
    );
  }

  override async save(tx: EntityManager, saved: readonly SavedRequest[]): Promise<void> {
    await tx.query(SAVE, [stepsOf(saved), ...changingColumns.arrays(saved.map(({ state }) => state))]);
  }

  override async note(tx: EntityManager, orderId: string, step: Step): Promise<void> {
    await tx.query(INSERT_STEPS, [JSON.stringify(stepRows(orderId, [step]))]);
  }

  // Not in a transaction, so it is committed before the call. If the request is cancelled just now, it is charged and then refunded.
  override async markChargeSent(id: string, at: Date): Promise<PaymentRequest | undefined> {
    const [rows]: [PaymentRequest[], number] = await this.background.query(
      prepared(`update payments.payment_requests
          set charge_sent_at = coalesce(charge_sent_at, $2)
        where id = $1 and ${MAY_BE_CHARGED}
       returning ${REQUEST_COLUMNS}`),
      [id, at],
    );
    return only(rows);
  }

  override async markChargesSent(ids: readonly string[], at: Date): Promise<PaymentRequest[]> {
    const [rows]: [PaymentRequest[], number] = await this.background.query(
      prepared(`with available as materialized (
         select id from payments.payment_requests
          where id = any($1::uuid[]) and ${MAY_BE_CHARGED}
            for update skip locked)
       update payments.payment_requests
          set charge_sent_at = coalesce(charge_sent_at, $2)
        where id = any(array(select id from available))
       returning ${REQUEST_COLUMNS}`),
      [ids, at],
    );
    return rows;
  }

  override async isClosedUncharged(id: string): Promise<boolean> {
    const found: unknown[] = await this.background.query(
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
}

function only([request]: readonly PaymentRequest[]): PaymentRequest | undefined {
  return request;
}

function stepsOf(saved: readonly SavedRequest[]): string {
  return JSON.stringify(saved.flatMap(({ state, steps }) => stepRows(state.orderId, steps)));
}

/** A separate statement, so that the next one sees what was committed while this one waited. */
async function beginInserts(tx: EntityManager, inserts: readonly 'insert'[]): Promise<Date[]> {
  const [row]: { now: Date }[] = await tx.query(
    prepared(
      `select clock_timestamp() as now from (select pg_advisory_xact_lock_shared(${INSERTS}) offset 0) as alone`,
    ),
  );
  if (!row) throw new Error('PostgreSQL returned no time');
  return inserts.map(() => row.now);
}

function dueRequests(rows: readonly (PaymentRequest & { readonly now: Date })[]): Due[] {
  return rows.map(({ now, ...request }) => ({ request, now }));
}

async function insertAll(tx: EntityManager, inserts: readonly SavedRequest[]): Promise<(Inserted | undefined)[]> {
  const states = inserts.map(({ state }) => state);
  const rows: (Inserted & { readonly id: string })[] = await tx.query(INSERT, [
    stepsOf(inserts),
    ...requestColumns.arrays(states),
  ]);
  const inserted = new Map(rows.map((row) => [row.id, { orderCancelled: row.orderCancelled }]));
  return states.map(({ id }) => inserted.get(id));
}
