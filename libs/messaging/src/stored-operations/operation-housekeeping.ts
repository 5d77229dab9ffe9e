import { Logger } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { describeError } from '../errors.js';
import { type MessagingOptions } from '../messaging-options.js';
import { type DataSources } from '../postgres/data-sources.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { inTransaction } from '../postgres/transaction.js';
import { pause, repeat } from '../waiting.js';

const DAY_MS = 24 * 3600 * 1000;
const HOUR_MS = 3600 * 1000;
/** Short, because a process that is restarted often must get to it too. */
const FIRST_MS = 10 * 60 * 1000;
const CHUNK = 1000;
/** Pause between two chunks, so that the clean-up does not crowd out other work in the database. */
const BREATHER_MS = 200;

type Retention = Pick<MessagingOptions, 'schema' | 'operationRetentionMs' | 'auditRetentionMs'>;

/**
 * Removes operations and audit entries whose retention has ended, soon after the start and then once an hour. One process at a time does
 * so; the others leave it to that one until their next turn.
 */
export class OperationHousekeeping {
  private readonly logger = new Logger('Operations');
  private readonly stopper = new AbortController();
  private readonly s: string;
  private running: Promise<void> | undefined;

  constructor(
    private readonly options: Retention,
    private readonly dataSources: Pick<DataSources, 'default'>,
  ) {
    this.s = quoteIdentifier(options.schema);
  }

  start(): void {
    const { signal: stopping } = this.stopper;
    this.running ??= repeat({ firstMs: FIRST_MS, everyMs: HOUR_MS, stopping }, () =>
      this.removeOld().catch((error: unknown) =>
        this.logger.warn(`Cannot remove old operations and audit entries: ${describeError(error)}`),
      ),
    );
  }

  /** Waits for a chunk in progress. */
  async stop(): Promise<void> {
    this.stopper.abort();
    await this.running;
  }

  /** @throws if the database is unavailable; the remaining rows are removed an hour later */
  async removeOld(): Promise<void> {
    const { operationRetentionMs = 30 * DAY_MS, auditRetentionMs = 90 * DAY_MS } = this.options;
    let beyond = '0';
    await this.inChunks(async (tx) => this.removeOperations(tx, operationRetentionMs));
    await this.inChunks(async (tx) => {
      const [row]: { forgotten: number; up_to: string }[] = await tx.query(
        `select forgotten, up_to from ${this.s}.messaging_audit_forget($1, $2, $3)`,
        [auditRetentionMs, beyond, CHUNK],
      );
      beyond = row?.up_to ?? beyond;
      return row?.forgotten ?? 0;
    });
  }

  /** Served by messaging_operations_finished. */
  private async removeOperations(tx: EntityManager, retentionMs: number): Promise<number> {
    const [, removed]: [unknown, number] = await tx.query(
      `delete from ${this.s}.messaging_operations where id = any(array(
         select id from ${this.s}.messaging_operations
          where finished_at < statement_timestamp() - $1 * interval '1 ms'
          order by finished_at, id limit ${CHUNK} for update skip locked))`,
      [retentionMs],
    );
    return removed;
  }

  private async inChunks(remove: (tx: EntityManager) => Promise<number>): Promise<void> {
    const { signal: stopping } = this.stopper;
    const removeChunk = async (tx: EntityManager) => ((await this.isAlone(tx)) ? remove(tx) : 0);
    while (!stopping.aborted && (await inTransaction(this.dataSources.default, removeChunk)) === CHUNK)
      await pause(BREATHER_MS, stopping);
  }

  /** Whether no other process removes a chunk at this moment. Holds until the end of the transaction. */
  private async isAlone(tx: EntityManager): Promise<boolean> {
    const [row]: { alone: boolean }[] = await tx.query(
      'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as alone',
      [`${this.options.schema}.operation-housekeeping`],
    );
    return row?.alone === true;
  }
}
