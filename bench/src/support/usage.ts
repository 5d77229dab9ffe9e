import { readdir, readFile, readlink } from 'node:fs/promises';
import pg from 'pg';
import { type Figure, median } from './figures.js';
import { type Servers } from './servers.js';

/** The resources that a system has used since its processes started. */
export interface Usage {
  readonly at: Date;
  /** CPU time in ms by kind of process: user and system, of all threads. */
  readonly cpuMs: Readonly<Record<string, number>>;
  readonly walBytes: number;
}

/** The pids of each kind of process. A server includes its child processes, even those that have ended. */
export type Kinds = Readonly<Record<string, readonly number[]>>;

/** USER_HZ, the unit of /proc, is 100 on every Linux that Node runs on. */
const MS_PER_TICK = 10;

/** Returns the pids of the servers, by kind. Throws when /proc does not show them: on another system, or when Kafka runs in a container. */
export async function serverProcesses({ databaseUrl, brokers }: Servers): Promise<Kinds> {
  const [lock] = await rowsOf<{ pid: string }>(
    databaseUrl,
    `select split_part(pg_read_file('postmaster.pid'), chr(10), 1) as pid`,
  );
  const postgres = Number(lock?.pid);
  const kafka = await listenerOf(Number(brokers[0]?.split(':')[1]));
  if (kafka === undefined || !(await readFile(`/proc/${kafka}/comm`, 'utf8')).startsWith('java'))
    throw new Error("Cannot find Kafka's process. Its CPU time can be measured only on Linux and outside a container.");
  return { PostgreSQL: [postgres], Kafka: [kafka] };
}

export async function usageOf(databaseUrl: string, kinds: Kinds): Promise<Usage> {
  const [wal] = await rowsOf<{ bytes: string }>(databaseUrl, `select pg_current_wal_lsn() - '0/0'::pg_lsn as bytes`);
  const cpuMs: Record<string, number> = {};
  for (const [kind, pids] of Object.entries(kinds)) {
    const each = await Promise.all(pids.map(cpuMsWithChildren));
    cpuMs[kind] = each.reduce((sum, ms) => sum + ms, 0);
  }
  return { at: new Date(), cpuMs, walBytes: Number(wal?.bytes) };
}

/** Returns the sum for all kinds of processes. */
export const totalOf = (byKind: Readonly<Record<string, number>>): number =>
  Object.values(byKind).reduce((sum, value) => sum + value, 0);

/** CPU time per message in µs, by kind of process. */
export type CpuPerMessage = Readonly<Record<string, number>>;

/**
 * Starts to measure the CPU time of the servers and of other processes. The returned function gives the cost per message, or undefined when
 * the processes of the servers cannot be found.
 */
export async function cpuOf(
  servers: Servers,
  processes: Kinds,
): Promise<(messages: number) => Promise<CpuPerMessage | undefined>> {
  const found = await serverProcesses(servers).catch(() => undefined);
  if (!found) return () => Promise.resolve(undefined);
  const kinds = { ...processes, ...found };
  const before = await usageOf(servers.databaseUrl, kinds);
  return async (messages) => {
    const { cpuMs } = await usageOf(servers.databaseUrl, kinds);
    return Object.fromEntries(
      Object.entries(cpuMs).map(([kind, ms]) => [kind, ((ms - (before.cpuMs[kind] ?? 0)) * 1000) / messages]),
    );
  };
}

/** The median of the rounds, in total and by kind of process; empty when nothing could be measured. */
export function cpuFigures(rounds: readonly (CpuPerMessage | undefined)[]): Figure[] {
  const seen = rounds.filter((round) => round !== undefined);
  const [first] = seen;
  if (!first) return [];
  const kinds = Object.keys(first);
  return [
    { what: '  CPU µs per message, total', value: median(seen.map(totalOf)).toFixed(1) },
    {
      what: `    ${kinds.join(' / ')}`,
      value: kinds.map((kind) => median(seen.map((round) => round[kind] ?? Number.NaN)).toFixed(1)).join(' / '),
    },
  ];
}

async function cpuMsWithChildren(pid: number): Promise<number> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8'))
    .split(' ')
    .filter((child) => child !== '');
  const living = await Promise.all(children.map((child) => ticksOf(child).catch(() => GONE)));
  const { own, gone } = await ticksOf(String(pid));
  return MS_PER_TICK * (own + gone + living.reduce((sum, child) => sum + child.own + child.gone, 0));
}

/** A child that ends between two readings; its time is then part of its parent's. */
const GONE = { own: 0, gone: 0 };

/** proc_pid_stat(5): utime and stime of the process and of its ended children. */
async function ticksOf(pid: string): Promise<{ own: number; gone: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name before these fields is in parentheses and may contain spaces.
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15);
  return { own: utime + stime, gone: cutime + cstime };
}

/** Returns the pid of the process that listens on a local TCP port. */
async function listenerOf(port: number): Promise<number | undefined> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')),
  );
  const LISTEN = '0A';
  const listening = tables
    .flatMap((table) => table.split('\n').map((line) => line.trim().split(/\s+/)))
    .find(([, local, , state]) => state === LISTEN && Number.parseInt(local?.split(':')[1] ?? '', 16) === port);
  const socket = `socket:[${listening?.[9]}]`;
  for (const pid of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(pid)) continue;
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const links = await Promise.all(descriptors.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    if (links.includes(socket)) return Number(pid);
  }
  return undefined;
}

async function rowsOf<Row extends object>(databaseUrl: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}
