import { type Command, Option } from 'commander';
import { type Page, type Pages, type TwinboxProblem } from '@twinbox/client';
import { type AdminClient } from '@twinbox/client/admin';
import { Answers } from './answers.js';
import { count, type Session } from './cli.js';
import { type ServiceName, SERVICES } from './connection.js';
import { UsageError } from './failures.js';
import { servicesOf } from './reference.js';
import { type Terminal } from './terminal.js';
import { type Column, table } from './text.js';

/** The options of every list. */
export interface ListOptions {
  readonly service?: ServiceName;
  readonly limit: number;
}

type Owned<T> = T & { readonly service: ServiceName };

/** A list of the API. */
export type ListOf<T> = Pages<Page<T>, TwinboxProblem>;

const PAGE = 100;

export const serviceOption = () => new Option('--service <service>', 'one of the services').choices(SERVICES);

export function withListOptions(command: Command): Command {
  return command.option('--limit <count>', 'how many are listed', count, 50);
}

/** How a list is sorted. */
export interface Sorted<T> {
  readonly by: (item: T) => string;
  readonly from: 'oldest' | 'newest';
}

/** Prints what both services list, or the one that was named, as one list. The result is whether all have answered. */
export async function printList<T>(
  { terminal, connections }: Session,
  { service, limit }: ListOptions,
  sorted: Sorted<T>,
  list: (admin: AdminClient, limit: number) => ListOf<T> | readonly ListOf<T>[],
  columns: readonly Column<Owned<T>>[],
): Promise<boolean> {
  const answers = new Answers(terminal);
  const lists = await Promise.all(
    servicesOf(service).map((service) =>
      answers.from(service, async () => {
        const parts = [list(connections.admin(service), Math.min(limit + 1, PAGE))].flat();
        // One more than is shown, to know whether there are more.
        const found = await Promise.all(parts.map((part) => firstOf(part, limit + 1)));
        return found.flat().map((item) => ({ service, ...item }));
      }),
    ),
  );
  const time = (item: T) => Date.parse(sorted.by(item));
  const direction = sorted.from === 'oldest' ? 1 : -1;
  const all = lists.flatMap((items) => items ?? []).toSorted((a, b) => direction * (time(a) - time(b)));
  const items = all.slice(0, limit);
  const hasMore = all.length > limit;
  const isComplete = answers.print({ items, hasMore }, () => table(terminal, items, columns));
  if (hasMore) noteMore(terminal, limit);
  return isComplete;
}

/** Prints the first items of a list of one service. */
export async function printFirst<T>(
  { terminal }: Session,
  list: ListOf<T>,
  limit: number,
  columns: readonly Column<T>[],
): Promise<void> {
  const found = await firstOf(list, limit + 1);
  const items = found.slice(0, limit);
  const hasMore = found.length > limit;
  terminal.result({ items, hasMore }, () => table(terminal, items, columns));
  if (hasMore) noteMore(terminal, limit);
}

function noteMore(terminal: Terminal, limit: number): void {
  if (!terminal.json) terminal.note(`There are more. --limit ${limit * 10} lists more of them.`);
}

/** Returns the first items of a list. */
async function firstOf<T>(list: ListOf<T>, limit: number): Promise<T[]> {
  const found: T[] = [];
  for await (const item of list) if (found.push(item) >= limit) break;
  return found;
}

/** Parses a time: an ISO 8601 one, or how long ago, such as `90s`, `15m`, `2h` or `3d`. */
export function timeOption(text: string, now: number = Date.now()): string {
  const [, amount, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const seconds = { s: 1, m: 60, h: 3600, d: 86_400 }[unit];
  if (amount !== undefined && seconds !== undefined)
    return new Date(now - Number(amount) * seconds * 1000).toISOString();
  const [day] = TIME.exec(text) ?? [];
  const time = new Date(text);
  // Date reads the 30th of February as the 2nd of March.
  const exists = day !== undefined && isValid(new Date(day)) && new Date(day).toISOString().startsWith(day);
  if (!exists || !isValid(time))
    throw new UsageError(`${text} is not a time. Examples: 2026-11-30, 2026-11-30T08:00:00Z, or 2h for two hours ago.`);
  return time.toISOString();
}

/** Matches the day of a date, or of a time with `Z` or an offset. A time without one would be that of this machine. */
const TIME = /^\d{4}-\d\d-\d\d(?=$|T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$)/;

function isValid(time: Date): boolean {
  return !Number.isNaN(time.getTime());
}
