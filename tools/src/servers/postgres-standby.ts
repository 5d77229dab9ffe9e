import { join } from 'node:path';
import { OperationalError } from '../errors.js';
import { LocalPostgres } from './local-postgres.js';
import { steadyPort } from './ports.js';
import { newDataDir } from './postgres.js';
import { copyBase, writeOwned } from './postgres-base-copy.js';
import { type Location, locate } from './postgres-location.js';
import { queryOnce } from './postgres-query.js';
import { type PostgresOptions, type PostgresServer, type PostgresStandby } from './postgres-server.js';
import { lastLines, logSince, until } from './processes.js';

const SYNCHRONOUS_MS = 30_000;
const PROMOTED_S = 30;

/**
 * Starts a synchronous standby of a server, from a copy of its data. Returns when the standby has everything that is committed and every
 * commit of the primary waits for it. `settings` must be those of the primary.
 *
 * While the standby is stopped, the primary keeps the WAL for it and its commits wait. They stop waiting when the standby is removed.
 */
export async function startSynchronousStandby(
  primary: PostgresServer,
  options: Omit<PostgresOptions, 'database'> = {},
): Promise<PostgresStandby> {
  const location = await locate(options.dataDir ?? (await newDataDir()));
  const standby = new LocalStandby(primary, location, options.port || (await steadyPort()), options);
  try {
    await standby.copyPrimary();
    await standby.start();
    await standby.becomeSynchronous();
    return standby;
  } catch (error) {
    // The first error says more than what follows from it.
    await standby.remove().catch(() => undefined);
    throw error;
  }
}

class LocalStandby extends LocalPostgres implements PostgresStandby {
  /** Names the standby in `synchronous_standby_names`, and its replication slot. */
  private readonly name: string;
  private promoted = false;

  constructor(
    private readonly primary: PostgresServer,
    location: Location,
    port: number,
    options: Omit<PostgresOptions, 'database'>,
  ) {
    const { hostname, username, password, pathname } = new URL(primary.url);
    const name = `standby_${port}`;
    const settings = {
      ...options.settings,
      primary_conninfo: `host=${hostname} port=${primary.port} user=${username} password=${password} application_name=${name}`,
      primary_slot_name: name,
      // Instead of 5 s, because commits wait while a restarted standby does not connect.
      wal_retrieve_retry_interval: '200ms',
    };
    super(location, port, { ...options, settings, database: decodeURIComponent(pathname.slice(1)) });
    this.name = name;
  }

  async copyPrimary(): Promise<void> {
    await this.onPrimary('select pg_create_physical_replication_slot($1, true)', [this.name]);
    await copyBase(this.primary, this.dataDir, this.location.user);
    await writeOwned(join(this.dataDir, 'standby.signal'), '', this.location.user);
  }

  /** Makes commits wait for the standby, and waits until it has everything that was committed before they waited. */
  async becomeSynchronous(): Promise<void> {
    await this.primary.reconfigure({ synchronous_standby_names: this.name });
    // The checkpointer tells the sessions to wait. It reads its configuration before it runs the checkpoint.
    await this.onPrimary('checkpoint');
    await this.caughtUp();
  }

  async caughtUp(): Promise<void> {
    const [now] = await this.onPrimary<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
    const isCaughtUp = () =>
      this.onPrimary(
        `select from pg_stat_replication where application_name = $1 and sync_state = 'sync' and flush_lsn >= $2`,
        [this.name, now?.lsn],
      );
    if (!(await until(async () => (await isCaughtUp()).length > 0, SYNCHRONOUS_MS)))
      throw new OperationalError(
        `The standby on port ${this.port} has not caught up after ${SYNCHRONOUS_MS / 1000} s. Its last log lines:\n` +
          lastLines(await logSince(this.logFile, 0)),
      );
  }

  async promote(): Promise<void> {
    const [row] = await queryOnce<{ promoted: boolean }>(this.url, 'select pg_promote(true, $1) as promoted', [
      PROMOTED_S,
    ]);
    if (!row?.promoted)
      throw new OperationalError(`The standby on port ${this.port} is not promoted after ${PROMOTED_S} s`);
    this.promoted = true;
  }

  override async remove(): Promise<void> {
    try {
      if (!this.promoted) await this.leavePrimary();
    } finally {
      await super.remove();
    }
  }

  /** Lets the primary, if it is running, commit and remove WAL without the standby. */
  private async leavePrimary(): Promise<void> {
    await this.stop();
    try {
      await this.primary.reconfigure({ synchronous_standby_names: '' });
      const isInUse = () =>
        this.onPrimary('select from pg_replication_slots where slot_name = $1 and active', [this.name]);
      await until(async () => (await isInUse()).length === 0, SYNCHRONOUS_MS);
      await this.onPrimary(
        'select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1',
        [this.name],
      );
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error;
    }
  }

  private onPrimary<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return queryOnce<Row>(this.primary.url, text, values);
  }
}
