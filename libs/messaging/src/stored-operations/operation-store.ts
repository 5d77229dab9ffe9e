import { type DataSource, type EntityManager } from 'typeorm';
import { InvalidInputError } from '../errors.js';
import { IS_IDLE } from '../operations/idle-operations.js';
import { type LetterPage } from '../operations/operator.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { timeText } from '../postgres/time-text.js';
import { type Json, type OperationFilter, type OperationOptions, type RunningOperation } from './operation-kind.js';
import { type OperationState, type StoredOperation } from './stored-operation.js';

/** What the runner keeps in the column `progress`. */
export interface SavedProgress {
  /** The progress of the kind. */
  readonly at: Json;
  readonly more: boolean;
  /** The number of saved steps that handled something. */
  readonly steps: number;
  /** With a canary: the items of the last step that the operation waits for, and how many of them are left. */
  readonly items?: readonly string[] | undefined;
  readonly waiting?: number | undefined;
}

/** An operation that this process runs. */
export interface HeldOperation extends Omit<RunningOperation, 'progress'> {
  readonly kind: string;
  readonly saved: SavedProgress;
  /** How long ago the last step was saved. */
  readonly sinceStepMs: number;
}

interface NewRow {
  readonly id: string;
  readonly kind: string;
  readonly filter: OperationFilter;
  readonly asOf: string;
  readonly options: OperationOptions;
  readonly total: number;
  readonly totalIsExact: boolean;
  readonly actor: string;
  readonly reason: string | undefined;
}

const OPERATION = `id, kind, filter, ${timeText('as_of')} as "asOf", options, state, total::float8 as total, total_is_exact as "totalIsExact", done::float8 as done,
       failed::float8 as failed, coalesce((progress ->> 'waiting')::int, 0) as "waitingFor", problem,
       cancelled_by as "cancelledBy", actor, reason, created_at as "createdAt", updated_at as "updatedAt",
       finished_at as "finishedAt"`;

/** The SQL of stored operations. All times are those of the database's clock. */
export class OperationStore {
  private readonly table: string;

  constructor(schema: string) {
    this.table = `${quoteIdentifier(schema)}.messaging_operations`;
  }

  /** Returns the current time, or the given one as the database writes it. */
  async time(db: DataSource | EntityManager, given: string | undefined): Promise<string> {
    const [row]: { time: string; future: boolean }[] = await db.query(
      `select ${timeText('time')} as time, time > clock_timestamp() as future
         from (select coalesce($1::timestamptz, clock_timestamp()) as time) as t`,
      [given ?? null],
    );
    if (row?.future) throw new InvalidInputError(`asOf must not be in the future: ${row.time}`);
    return row?.time ?? '';
  }

  async insert(tx: EntityManager, row: NewRow): Promise<StoredOperation> {
    const [operation]: StoredOperation[] = await tx.query(
      `insert into ${this.table} (id, kind, filter, as_of, options, total, total_is_exact, actor, reason)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning ${OPERATION}`,
      [row.id, row.kind, row.filter, row.asOf, row.options, row.total, row.totalIsExact, row.actor, row.reason ?? null],
    );
    if (!operation) throw new Error('PostgreSQL returned no row for the new operation');
    return operation;
  }

  async find(db: DataSource | EntityManager, id: string): Promise<StoredOperation | undefined> {
    const [operation]: StoredOperation[] = await db.query(`select ${OPERATION} from ${this.table} where id = $1`, [id]);
    return operation;
  }

  /** Returns operations with smaller ids than the cursor, newest first, because UUIDv7s ascend with time. The primary key serves it. */
  async list(
    db: DataSource,
    state: OperationState | undefined,
    { limit, cursor }: LetterPage & { readonly limit: number },
  ): Promise<StoredOperation[]> {
    return db.query(
      `select ${OPERATION} from ${this.table}
        where ($1::text is null or state = $1) and ($2::uuid is null or id < $2) order by id desc limit $3`,
      [state ?? null, cursor ?? null, limit],
    );
  }

  /**
   * Takes an open operation of these kinds that no live process runs: the oldest new one, or else the one that has waited the longest
   * for its turn. messaging_operations_open serves it.
   */
  async take(
    db: DataSource,
    kinds: readonly string[],
    runner: string,
    leaseMs: number,
  ): Promise<HeldOperation | undefined> {
    const [[row]]: [(Omit<HeldOperation, 'saved'> & { readonly progress: Partial<SavedProgress> })[], number] =
      await db.query(
        `update ${this.table} set runner = $1, runner_until = clock_timestamp() + $2 * interval '1 ms'
          where id = (select id from ${this.table} where kind = any($3) and ${IS_IDLE}
                       order by runner_until, created_at, id limit 1 for update skip locked)
         returning id, kind, filter, ${timeText('as_of')} as "asOf", options, actor, reason, progress,
                   (extract(epoch from clock_timestamp() - updated_at) * 1000)::float8 as "sinceStepMs"`,
        [runner, leaseMs, kinds],
      );
    if (!row) return undefined;
    const { progress, ...operation } = row;
    return { ...operation, saved: { at: null, more: true, steps: 0, ...progress } };
  }

  /** Extends the right to run the operation. Returns false if it is lost. */
  async renew(db: DataSource, id: string, runner: string, leaseMs: number): Promise<boolean> {
    const [, updated]: [unknown, number] = await db.query(
      `update ${this.table} set runner_until = clock_timestamp() + $3 * interval '1 ms'
        where id = $1 and runner = $2 and finished_at is null`,
      [id, runner, leaseMs],
    );
    return updated > 0;
  }

  /** Saves a step. Returns false if the operation has ended or another process runs it. */
  async save(
    tx: EntityManager,
    id: string,
    runner: string,
    { progress, done, failed, leaseMs }: { progress: SavedProgress; done: number; failed: number; leaseMs: number },
  ): Promise<boolean> {
    const [, updated]: [unknown, number] = await tx.query(
      `update ${this.table}
          set progress = $3, done = done + $4, failed = failed + $5, problem = null, updated_at = clock_timestamp(),
              runner_until = clock_timestamp() + $6 * interval '1 ms'
        where id = $1 and runner = $2 and finished_at is null`,
      [id, runner, progress, done, failed, leaseMs],
    );
    return updated > 0;
  }

  /** Lets any process continue the operation after `waitMs`. A null `problem` keeps the previous one. */
  async release(
    db: DataSource,
    id: string,
    runner: string,
    { waitMs, problem, waiting }: { waitMs: number; problem?: string; waiting?: number },
  ): Promise<void> {
    await db.query(
      `update ${this.table}
          set runner = null, runner_until = clock_timestamp() + $3 * interval '1 ms', problem = coalesce($4, problem),
              progress = case when $5::int is null then progress else jsonb_set(progress, '{waiting}', to_jsonb($5::int)) end
        where id = $1 and runner = $2 and finished_at is null`,
      [id, runner, waitMs, problem ?? null, waiting ?? null],
    );
  }

  /** Ends the operation for its runner. Returns undefined if it has ended already or another process runs it. */
  async finish(
    tx: EntityManager,
    id: string,
    runner: string,
    end: { readonly state: OperationState; readonly problem: string | undefined; readonly failed: number },
  ): Promise<StoredOperation | undefined> {
    const [[operation]]: [StoredOperation[], number] = await tx.query(
      `update ${this.table}
          set state = $3, problem = $4, failed = failed + $5, finished_at = clock_timestamp(), updated_at = clock_timestamp(),
              runner = null, runner_until = '-infinity', progress = progress - 'waiting'
        where id = $1 and runner = $2 and finished_at is null returning ${OPERATION}`,
      [id, runner, end.state, end.problem ?? null, end.failed],
    );
    return operation;
  }

  /** Ends the operation, whichever process runs it. Returns undefined if it has ended already. */
  async cancel(tx: EntityManager, id: string, by: string): Promise<StoredOperation | undefined> {
    const [[operation]]: [StoredOperation[], number] = await tx.query(
      `update ${this.table}
          set state = 'cancelled', cancelled_by = $2, finished_at = clock_timestamp(), updated_at = clock_timestamp(),
              runner = null, runner_until = '-infinity', progress = progress - 'waiting'
        where id = $1 and finished_at is null returning ${OPERATION}`,
      [id, by],
    );
    return operation;
  }
}
