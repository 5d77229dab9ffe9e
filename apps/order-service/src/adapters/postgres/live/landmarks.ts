export type Query = <Row extends object>(text: string, values: readonly unknown[]) => Promise<Row[]>;

/** Values from which a reader detects that the database was replaced or has lost commits. */
export interface Landmarks {
  /** The WAL timeline, which changes with each failover and restore. Null on a server in recovery. */
  readonly wal: string | null;
  /** The last value of the position sequence. Null before the first, and if the role may not read the sequence. */
  readonly drawn: string | null;
}

const SEQUENCE = `'orders.order_timeline_position_seq'`;
export const LANDMARKS = `
  case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) end as wal,
  case when has_sequence_privilege(${SEQUENCE}, 'usage, select') then pg_sequence_last_value(${SEQUENCE})::text end as drawn`;

export function wentBack(before: Landmarks, now: Landmarks): boolean {
  const isOtherWal = before.wal !== null && now.wal !== null && before.wal !== now.wal;
  // A restarted sequence has no last value yet.
  const isBehind = before.drawn !== null && (now.drawn === null || Number(now.drawn) < Number(before.drawn));
  return isOtherWal || isBehind;
}

export async function readLandmarks(query: Query): Promise<Landmarks> {
  const [row] = await query<Landmarks>(`select ${LANDMARKS}`, []);
  if (!row) throw new Error('PostgreSQL answered the feed without a row');
  return row;
}
