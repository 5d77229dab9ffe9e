const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const exact = new Intl.DateTimeFormat(undefined, {
  dateStyle: 'full',
  timeStyle: 'long',
});
const today = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const thisYear = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});
const anyYear = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'always', style: 'short' });

/** The exact time in the viewer's zone, and as the services write it. */
export function exactTime(at: string): string {
  return `${exact.format(new Date(at))}\n${at}`;
}

/** A time in the viewer's zone, as short as it can be without doubt: today the time alone, in other years the date alone. */
export function shortTime(at: string, now: number): string {
  const [time, current] = [new Date(at), new Date(now)];
  if (time.toDateString() === current.toDateString()) return today.format(time);
  return (time.getFullYear() === current.getFullYear() ? thisYear : anyYear).format(time);
}

/** How long ago a time was, or in how long it will be. */
export function relativeTime(at: string, now: number): string {
  const ms = Date.parse(at) - now;
  const size = Math.abs(ms);
  if (size < MINUTE) return relative.format(Math.trunc(ms / SECOND), 'second');
  if (size < HOUR) return relative.format(Math.trunc(ms / MINUTE), 'minute');
  if (size < DAY) return relative.format(Math.trunc(ms / HOUR), 'hour');
  return relative.format(Math.trunc(ms / DAY), 'day');
}

/** A duration between two times: `340 ms`, `12.4 s`, `3 min 20 s`. */
export function durationText(ms: number): string {
  const size = Math.abs(ms);
  if (size < SECOND) return `${Math.round(size)} ms`;
  if (size < 10 * SECOND) return `${(size / SECOND).toFixed(1)} s`;
  if (size < MINUTE) return `${Math.round(size / SECOND)} s`;
  if (size < HOUR) return `${Math.floor(size / MINUTE)} min ${Math.round((size % MINUTE) / SECOND)} s`;
  if (size < DAY) return `${Math.floor(size / HOUR)} h ${Math.round((size % HOUR) / MINUTE)} min`;
  return `${Math.floor(size / DAY)} d ${Math.round((size % DAY) / HOUR)} h`;
}
