import { Inject, Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { BatchedStatement } from './batched-statement.js';
import { isUuid, textFlaw } from './column-text.js';
import { CommitWakeUp } from './commit-wake-up.js';
import { DueWork } from './due-work.js';
import { PermanentError } from './errors.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from './messaging-options.js';
import { MAX_PAYLOAD_BYTES } from './outbox.js';
import { quoteIdentifier } from './schema.js';

export interface JobAddOptions {
  /** The job's id, a UUID; a new UUIDv7 unless given. While a job of this id is kept, adding it again changes nothing. */
  readonly id?: string;
  /** Not before this time, and up to a second later. At once unless given. */
  readonly runAt?: Date;
}

/** A job to be added; its data is what `JSON.stringify` makes of it. */
export interface NewJob extends JobAddOptions {
  readonly data: object;
}

interface Row {
  readonly id: string;
  readonly queue: string;
  readonly json: string;
  readonly runAt: Date | undefined;
}

/**
 * Calls to other systems: a notification, a charge. The caller's transaction only writes the job down, so the call is made if
 * and only if it commits (P1); a worker makes it afterwards, outside of any transaction, until it succeeds. See `JobHandler`.
 */
@Injectable()
export class Jobs {
  private readonly table: string;
  private readonly insert = new BatchedStatement<readonly Row[], undefined>((tx, added) => this.insertAll(tx, added));
  private readonly wakeWorker = () => this.dueWork.found('jobs');

  constructor(
    @Inject(MESSAGING_OPTIONS) { schema }: MessagingOptions,
    private readonly wakeUp: CommitWakeUp,
    private readonly dueWork: DueWork,
  ) {
    this.table = `${quoteIdentifier(schema)}.jobs`;
  }

  /**
   * Adds a job in the caller's transaction, and returns its id. Whatever process has a handler for the queue runs it, this one
   * at once after the commit.
   *
   * Throws when `tx` is not in a transaction, and when the id is that of a job of another queue. Throws a PermanentError for what
   * the table cannot hold: data with more than {@link MAX_PAYLOAD_BYTES} of JSON, or with a zero byte or half of a surrogate pair
   * in its texts; an id that is not a UUID; a time beyond the year 9999; a queue whose name is longer than 255 characters.
   */
  async add(tx: EntityManager, queue: string, data: object, options: JobAddOptions = {}): Promise<string> {
    const [id = ''] = await this.addAll(tx, queue, [{ ...options, data }]);
    return id;
  }

  /** The same for many jobs in one statement; their ids in the order of the jobs. */
  async addAll(tx: EntityManager, queue: string, jobs: readonly NewJob[]): Promise<string[]> {
    if (!tx.queryRunner?.isTransactionActive)
      throw new Error('Jobs.add must be called with the manager of an open transaction');
    if (jobs.length === 0) return [];

    const flaw = textFlaw(queue);
    if (flaw !== undefined) throw new PermanentError(`The name of the queue ${flaw}`);
    const rows = jobs.map(({ id = uuidv7(), data, runAt }): Row => {
      const name = `Job ${id} of ${queue}`;
      if (!isUuid(id)) throw new PermanentError(`The id of ${name} is not a UUID`);
      if (runAt && !isStorableTime(runAt))
        throw new PermanentError(`The time of ${name} is outside the years 1 to 9999`);
      return { id, queue, json: jsonOf(data, name), runAt };
    });
    await this.insert.run(tx, rows);

    const now = Date.now();
    // What is for later is found by the poll: a second does not matter to it.
    if (rows.some(({ runAt }) => runAt === undefined || runAt.getTime() <= now))
      this.wakeUp.onCommitOf(tx.queryRunner, this.wakeWorker);
    return rows.map(({ id }) => id);
  }

  /**
   * Whether a job is still to be run, or running: added, and neither done nor dead. It stays so until `tx` ends, for nobody can retry
   * a dead one meanwhile. One that somebody else has in hand counts as waiting.
   */
  async isWaiting(tx: EntityManager, id: string): Promise<boolean> {
    const [job]: { waiting: boolean }[] = await tx.query(
      `select dead_at is null as waiting from ${this.table} where id = $1 for update skip locked`,
      [id],
    );
    if (job) return job.waiting;
    const inHand: unknown[] = await tx.query(`select from ${this.table} where id = $1`, [id]);
    return inHand.length > 0;
  }

  /**
   * Whether a worker has the job now, or may have: its lease is set, even if it has run out, because the call may go on. Otherwise no
   * worker can claim it until `tx` ends.
   */
  async isRunning(tx: EntityManager, id: string): Promise<boolean> {
    // Only a job that nobody has is locked: its worker could not give up another one.
    const idle: unknown[] = await tx.query(
      `select from ${this.table} where id = $1 and lease is null for update skip locked`,
      [id],
    );
    if (idle.length > 0) return false;
    const others: unknown[] = await tx.query(`select from ${this.table} where id = $1`, [id]);
    return others.length > 0;
  }

  private async insertAll(tx: EntityManager, added: readonly (readonly Row[])[]): Promise<(Error | undefined)[]> {
    const rows = added.flat();
    // In the order of the ids: two transactions that add the same ones wait for each other, and never in a circle.
    const inserted: unknown[] = await tx.query(
      `/* prepared */ insert into ${this.table} (id, queue, data, run_at)
       -- Looks for due jobs begin a few seconds before now: see due-range.ts.
       select j.id, j.queue, j.data::jsonb,
              greatest(coalesce(j.run_at, clock_timestamp()), clock_timestamp() - interval '5 s')
         from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[]) as j (id, queue, data, run_at)
        order by j.id
           on conflict (id) do nothing
       returning id`,
      [
        rows.map(({ id }) => id),
        rows.map(({ queue }) => queue),
        rows.map(({ json }) => json),
        rows.map(({ runAt }) => runAt?.toISOString() ?? null),
      ],
    );
    if (inserted.length === rows.length) return added.map(() => undefined);
    const refusals = await this.refusalsOf(tx, rows);
    return added.map((mine) => mine.map((row) => refusals.get(row)).find((error) => error !== undefined));
  }

  /** A charge and a refund under one id: the second would be dropped as a repetition of the first. */
  private async refusalsOf(tx: EntityManager, rows: readonly Row[]): Promise<Map<Row | undefined, Error>> {
    const others: { n: number; queue: string }[] = await tx.query(
      `select wanted.n::int - 1 as n, other.queue
         from unnest($1::uuid[], $2::text[]) with ordinality as wanted (id, queue, n)
         join ${this.table} as other on other.id = wanted.id and other.queue <> wanted.queue`,
      [rows.map(({ id }) => id), rows.map(({ queue }) => queue)],
    );
    return new Map(
      others.map(({ n, queue }) => [
        rows[n],
        new Error(`Job ${rows[n]?.id} for ${rows[n]?.queue} has the id of a job of ${queue}`),
      ]),
    );
  }
}

/** What jsonb does not take: `JSON.stringify` writes each of these, and no other character but controls, with a `\u`. */
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

function jsonOf(data: object, name: string): string {
  const json = JSON.stringify(data) as string | undefined;
  if (json === undefined) throw new PermanentError(`The data of ${name} cannot be written as JSON`);
  const bytes = Buffer.byteLength(json);
  if (bytes > MAX_PAYLOAD_BYTES) throw new PermanentError(`${name} has ${bytes} bytes, more than ${MAX_PAYLOAD_BYTES}`);
  if (json.includes('\\u') && UNSTORABLE.test(json))
    throw new PermanentError(`The data of ${name} has a text with a zero byte or half of a surrogate pair`);
  return json;
}

function isStorableTime(time: Date): boolean {
  const year = time.getUTCFullYear();
  return year >= 1 && year <= 9999;
}
