import { type DataSource, type EntityManager } from 'typeorm';

/** Returns SQL for a time in ISO 8601 with microseconds, which a Date would lose. */
export const timeText = (time: string): string =>
  `to_char(${time} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** Returns the database's current time in ISO 8601 with microseconds. */
export async function currentTime(db: DataSource | EntityManager): Promise<string> {
  const [row]: { time: string }[] = await db.query(`select ${timeText('clock_timestamp()')} as time`);
  return row?.time ?? '';
}

/** Returns the earlier of both times, where `text` has microseconds. */
export function earliest(time: Date | undefined, text: string): Date | string {
  return time !== undefined && time.getTime() <= Date.parse(text) ? time : text;
}
