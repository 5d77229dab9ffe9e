import { type DataSource, QueryFailedError } from 'typeorm';

/** Finds who blocks the sessions with the application name $1. A prepared transaction has no session, and so no row in pg_stat_activity. */
const HOLDERS = `
  select distinct coalesce(
           format('process %s (role %s, application "%s", %s%s)', holder.pid, usename, application_name, state,
                  ', transaction since ' || to_char(xact_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
           'a prepared transaction (see pg_prepared_xacts)') as holder
    from (select unnest(pg_blocking_pids(pid)) as pid from pg_stat_activity
           where application_name = $1 and datname = current_database()) as blocking
         left join pg_stat_activity as holder using (pid)`;

/**
 * Runs `work`. If it fails because it waited too long for a lock, the error names those who held the lock. The server does not know
 * them any more by then, so they are looked up while `work` runs, over another connection of the data source.
 *
 * @param application the application name of the data source's sessions
 * @param everyMs how often to look; less than the lock timeout
 */
export async function namingLockHolders<T>(
  dataSource: DataSource,
  application: string,
  everyMs: number,
  work: () => Promise<T>,
): Promise<T> {
  let holders: readonly string[] = [];
  let looking = Promise.resolve();
  const look = async (): Promise<void> => {
    const rows: { holder: string }[] = await dataSource.query(HOLDERS, [application]);
    if (rows.length > 0) holders = rows.map(({ holder }) => holder);
  };
  // A look that fails must not end what it watches.
  const timer = setInterval(() => {
    looking = looking.then(look).catch(() => undefined);
  }, everyMs);
  try {
    return await work();
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    throw new Error(messageOf(holders), { cause: error });
  } finally {
    clearInterval(timer);
    await looking;
  }
}

function messageOf(holders: readonly string[]): string {
  const holder = holders.length === 0 ? 'a session that has ended meanwhile' : holders.join(', ');
  return (
    `waited too long for a lock held by ${holder}. The migration has not taken effect. ` +
    'Wait until the holder has finished, or end it with select pg_terminate_backend(<process>), and run migrate again'
  );
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof QueryFailedError && (error.driverError as { code?: string }).code === '55P03';
}
