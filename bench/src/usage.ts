import { readdir, readFile, readlink } from 'node:fs/promises';
import pg from 'pg';
import { type Figure, median } from './figures.js';
import { type Servers } from './servers.js';

/** What a system has used since its processes began. */
export interface Usage {
  readonly at: Date;
  /** CPU time in ms by kind of process: user and system, of all threads. */
  readonly cpuMs: Readonly<Record<string, number>>;
  readonly walBytes: number;
}

/** Which processes a kind has; a server's children count with it, those that have come and gone meanwhile too. */
export type Kinds = Readonly<Record<string, readonly number[]>>;

/** USER_HZ, which /proc counts in, is 100 on every Linux that Node runs on. */
const MS_PER_TICK = 10;

/** The pids of the servers, by kind. Throws where /proc does not show them: on another system, or when Kafka runs in a container. */
export async function serverProcesses({ databaseUrl, brokers }: Servers): Promise<Kinds> {
  const [lock] = await rowsOf<{ pid: string }>(
    databaseUrl,
    `select split_part(pg_read_file('postmaster.pid'), chr(10), 1) as pid`,
  );
  const postgres = Number(lock?.pid);
  const kafka = await listenerOf(Number(brokers[0]?.split(':')[1]));
  if (kafka === undefined || !(await readFile(`/proc/${kafka}/comm`, 'utf8')).startsWith('java'))
    throw new Error(
      "Kafka's process is not to be seen: its CPU time is only known on Linux, and outside of a container.",
    );
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

/** CPU time of one message, in µs, by kind of process. */
export type CpuPerMessage = Readonly<Record<string, number>>;

/**
 * Measures the CPU time of the servers, and of other processes, from now on. The function that it returns gives what a message has
 * cost; undefined where the processes of the servers cannot be seen.
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

/** The median of the rounds, in all and by kind of process; none where nothing could be seen. */
export function cpuFigures(rounds: readonly (CpuPerMessage | undefined)[]): Figure[] {
  const seen = rounds.filter((round) => round !== undefined);
  const [first] = seen;
  if (!first) return [];
  const kinds = Object.keys(first);
  const sum = (round: CpuPerMessage) => Object.values(round).reduce((all, us) => all + us, 0);
  return [
    { what: '  CPU µs a message, in all', value: median(seen.map(sum)).toFixed(1) },
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

/** A child that ends between two readings: its parent has its time. */
const GONE = { own: 0, gone: 0 };

/** proc_pid_stat(5): utime and stime, and those of its children that have ended. */
async function ticksOf(pid: string): Promise<{ own: number; gone: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name before it is in brackets and may hold spaces.
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15);
  return { own: utime + stime, gone: cutime + cstime };
}

/** The process that listens on a local TCP port. */
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
