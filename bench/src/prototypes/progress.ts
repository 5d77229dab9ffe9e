/*
 * The figures of docs/adr/0010: two ways in which an outbox relay can know what it has published, against each other.
 * All parts, or those named: node bench/dist/prototypes/progress.js drain million commits snapshot gaps lost retention ring
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { startKafka, startPostgres } from '@twinbox/tools';
import type pg from 'pg';
import { type Load } from './load.js';
import {
  COLUMNS,
  connect,
  connectKafka,
  createRing,
  createTables,
  one,
  PAYLOAD,
  PLACE_ORDER,
  seed,
  type Send,
  sizes,
  walBytes,
} from './outbox-table.js';
import { DeleteWay, LogWay, NaiveWay, relay, type Way } from './ways.js';

const say = (part: string, figures: object) => console.log(part.padEnd(10), JSON.stringify(figures));
const round = (n: number, digits = 1) => Number(n.toFixed(digits));
const quantile = (values: readonly number[], q: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? Number.NaN;
const median = (values: readonly number[]) => round(quantile(values, 0.5), 2);

interface Bench {
  readonly url: string;
  readonly sql: pg.Client;
  readonly send: Send;
}

const VARIANTS = {
  delete: { make: (sql: pg.Client): Way => new DeleteWay(sql), ahead: false },
  log: { make: (sql: pg.Client): Way => new LogWay(sql), ahead: false },
  'log, reading ahead': { make: (sql: pg.Client): Way => new LogWay(sql), ahead: true },
} as const;
type Variant = keyof typeof VARIANTS;
const variants = Object.keys(VARIANTS) as Variant[];

async function drainOnce({ sql, send }: Bench, name: Variant, messages: number) {
  await createTables(sql);
  await seed(sql, messages);
  await sql.query('checkpoint');
  const wal = await walBytes(sql);
  const tenths: number[] = [];
  let sent = 0;
  const began = performance.now();
  await relay(VARIANTS[name].make(sql), send, {
    ahead: VARIANTS[name].ahead,
    onBatch: (rows) => {
      sent += rows.length;
      while (sent >= ((tenths.length + 1) * messages) / 10) tenths.push(performance.now() - began);
    },
  });
  const ms = performance.now() - began;
  if (sent !== messages) throw new Error(`${name} sent ${sent} of ${messages}`);
  return {
    perSecond: Math.round((messages / ms) * 1000),
    walPerMessage: Math.round(((await walBytes(sql)) - wal) / messages),
    lastTenthOverFirst: round((tenths[0] ?? 0) / (ms - (tenths[8] ?? 0)), 2),
  };
}

const parts: Record<string, (bench: Bench) => Promise<void>> = {
  async drain(bench) {
    await drainOnce(bench, 'log', 50_000);
    const runs: Record<Variant, Awaited<ReturnType<typeof drainOnce>>[]> = {
      delete: [],
      log: [],
      'log, reading ahead': [],
    };
    for (let round_ = 0; round_ < 5; round_++)
      for (const name of variants) runs[name].push(await drainOnce(bench, name, 200_000));
    for (const name of variants)
      say('drain', {
        name,
        perSecond: median(runs[name].map((r) => r.perSecond)),
        overDelete: median(runs[name].map((r, i) => r.perSecond / (runs.delete[i]?.perSecond ?? Number.NaN))),
        walPerMessage: median(runs[name].map((r) => r.walPerMessage)),
        all: runs[name].map((r) => r.perSecond),
      });
  },

  /** Without Kafka, whose time would hide what the database's becomes. */
  async million(bench) {
    const database = { ...bench, send: () => Promise.resolve() };
    const runs = { delete: [], log: [] } as Record<'delete' | 'log', number[]>;
    for (let round_ = 0; round_ < 3; round_++)
      for (const name of ['delete', 'log'] as const) {
        const figures = await drainOnce(database, name, 1_000_000);
        runs[name].push(figures.lastTenthOverFirst);
        say('million', { name, ...figures, ...(await sizes(bench.sql)) });
      }
    for (const name of ['delete', 'log'] as const) say('million', { name, lastTenthOverFirst: median(runs[name]) });
  },

  /** Orders from 16 connections as fast as they go, while the relay runs; the log's retention is 0, so that both delete all. */
  async commits(bench) {
    const seconds = 8;
    const names = ['no relay', 'delete', 'log', 'log, every 10 ms', 'log, every 10 ms, purged at once'] as const;
    const runs = new Map<string, { commits: number; relayed: number; batches: number; wal: number }[]>(
      names.map((name) => [name, []]),
    );
    for (let round_ = 0; round_ < 3; round_++)
      for (const name of names) {
        await createTables(bench.sql);
        await bench.sql.query('checkpoint');
        const wal = await walBytes(bench.sql);
        const way =
          name === 'no relay' ? undefined : name === 'delete' ? new DeleteWay(bench.sql) : new LogWay(bench.sql);
        let open = true;
        let [relayed, batches] = [0, 0];
        const relaying =
          way &&
          relay(way, bench.send, {
            goOn: () => open,
            everyMs: name.includes('10 ms') ? 10 : 0,
            onBatch: (rows) => {
              relayed += rows.length;
              batches++;
            },
          });
        const purging =
          name.endsWith('purged at once') && way instanceof LogWay && keepPurging(bench.url, way, () => open);
        const commits = await writeFor({ url: bench.url, connections: 16, ms: seconds * 1000 });
        const relayedMeanwhile = relayed;
        open = false;
        await relaying;
        await purging;
        runs.get(name)?.push({
          commits: commits / seconds,
          relayed: relayedMeanwhile / seconds,
          batches: batches / seconds,
          wal: ((await walBytes(bench.sql)) - wal) / commits,
        });
      }
    for (const [name, all] of runs)
      say('commits', {
        name,
        perSecond: Math.round(median(all.map((r) => r.commits))),
        batchesPerSecond: Math.round(median(all.map((r) => r.batches))),
        relayedPerSecond: Math.round(median(all.map((r) => r.relayed))),
        walPerOrder: Math.round(median(all.map((r) => r.wal))),
        overNoRelay: median(all.map((r, i) => r.commits / (runs.get('no relay')?.[i]?.commits ?? Number.NaN))),
        overDelete: median(all.map((r, i) => r.commits / (runs.get('delete')?.[i]?.commits ?? Number.NaN))),
        all: all.map((r) => Math.round(r.commits)),
      });
  },

  /** 1,000 messages a second while another transaction keeps its snapshot. Each way in a database of its own, at the same time. */
  async snapshot(bench) {
    await Promise.all(
      (['delete', 'log', 'log, purged at once'] as const).map(async (name, index) => {
        const database = `snapshot_${index}`;
        await bench.sql.query(`drop database if exists ${database}`);
        await bench.sql.query(`create database ${database}`);
        const url = bench.url.replace(/\/[^/]*$/, `/${database}`);
        const [sql, writer, holder] = await Promise.all([connect(url), connect(url), connect(url)]);
        await createTables(sql);
        await holder.query('begin isolation level repeatable read');
        await holder.query('select count(*) from proto.outbox');
        await holder.query('select pg_current_xact_id()');

        const way = name === 'delete' ? new DeleteWay(sql) : new LogWay(sql);
        const reads: { at: number; ms: number }[] = [];
        const purges: { at: number; ms: number }[] = [];
        let open = true;
        const began = performance.now();
        const relaying = relay(way, bench.send, {
          goOn: () => open,
          onBatch: (_, ms) => void reads.push({ at: performance.now() - began, ms }),
        });
        const purging =
          name === 'log, purged at once' &&
          way instanceof LogWay &&
          keepPurging(
            url,
            way,
            () => open,
            (ms) => purges.push({ at: performance.now() - began, ms }),
          );
        const insert = `insert into proto.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
          select uuidv7(), 'order', 'order-' || n, 'OrderPlaced', '/schemas/OrderPlaced/1', n, $1 from generate_series(1, 50) as n`;
        for (let n = 0; performance.now() - began < 150_000; n++) {
          await writer.query(insert, [PAYLOAD]);
          await delay(Math.max(0, n * 50 - (performance.now() - began)));
        }
        open = false;
        await relaying;
        await purging;
        const between = (list: typeof reads, from: number, to: number) =>
          median(list.filter(({ at }) => at > from * 1000 && at < to * 1000).map(({ ms }) => ms));
        say('snapshot', {
          name,
          readMs: {
            '0-10s': between(reads, 0, 10),
            '60-70s': between(reads, 60, 70),
            '140-150s': between(reads, 140, 150),
          },
          ...(purges.length > 0 && { purgeMs: { first: between(purges, 0, 20), last: between(purges, 130, 150) } }),
          ...(await sizes(sql)),
        });
        await holder.query('commit');
        await Promise.all([sql.end(), writer.end(), holder.end()]);
      }),
    );
  },

  /** One transaction has drawn every other position and does not commit: each is a gap of its own. */
  async gaps(bench) {
    for (const gaps of [0, 1000, 10_000]) {
      await createTables(bench.sql);
      const slow = await connect(bench.url);
      const others = await connect(bench.url);
      await slow.query('begin');
      for (let n = 0; n < gaps; n += 500) await addAlternating(slow, others, 500);
      const way = new LogWay(bench.sql);
      let published = 0;
      const count = (rows: readonly unknown[]) => void (published += rows.length);
      await relay(way, () => Promise.resolve(), { onBatch: count });
      const remembered = way.gaps.length;
      // What others commit is not held back by the slow one, and costs a reading each.
      const reads: number[] = [];
      for (let n = 0; n < 60; n++) {
        await others.query(PLACE_ORDER, [PAYLOAD]);
        if (n % 20 === 0) await way.poll();
        const began = performance.now();
        const rows = await way.read(1000);
        reads.push(performance.now() - began);
        if (rows.length !== 1) throw new Error(`held back: ${rows.length} rows`);
        await way.record(rows);
        count(rows);
      }
      await slow.query('commit');
      await relay(way, () => Promise.resolve(), { onBatch: count });
      const rows = await one<string>(bench.sql, 'select count(*) as value from proto.outbox').then(Number);
      for (let n = 0; n < 2; n++) {
        await way.poll();
        await way.read(1000);
      }
      say('gaps', { remembered, readMs: median(reads), published, committed: rows, left: way.gaps.length });
      await Promise.all([slow.end(), others.end()]);
    }
  },

  /** Writers that commit late, roll back, or have drawn a position and have no transaction id yet: who loses what? */
  async lost(bench) {
    for (const [name, make] of [
      ['naive cursor', (sql: pg.Client): Way => new NaiveWay(sql)],
      ['delete', (sql: pg.Client): Way => new DeleteWay(sql)],
      ['log', (sql: pg.Client): Way => new LogWay(sql)],
    ] as const) {
      await createTables(bench.sql);
      // Evaluated after the position, for it stands behind it: the writer waits with a position, at times without a transaction id.
      await bench.sql.query(`create function proto.dawdle() returns int language sql volatile as
        $$ select pg_sleep(coalesce(nullif(current_setting('proto.dawdle', true), ''), '0')::float8); select 0 $$;
        alter table proto.outbox add column dawdled int not null default 0;
        alter table proto.outbox alter column dawdled set default proto.dawdle()`);
      const published = new Set<string>();
      let sent = 0;
      let open = true;
      const way = make(bench.sql);
      const relaying = relay(
        way,
        (rows) => {
          for (const { id } of rows) published.add(id);
          sent += rows.length;
          return Promise.resolve();
        },
        { goOn: () => open },
      );
      let without = 0;
      const observer = await connect(bench.url);
      const end = performance.now() + 12_000;
      const committed = new Set<string>();
      const writers = Array.from({ length: 12 }, async (_, index) => {
        const sql = await connect(bench.url);
        while (performance.now() < end) {
          const dawdle = index < 2 ? 1.5 : 0;
          await sql.query('begin');
          await sql.query(`select set_config('proto.dawdle', $1, true)`, [String(dawdle)]);
          const id = await one<string>(
            sql,
            `insert into proto.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
             values (uuidv7(), 'order', $1, 'OrderPlaced', '/schemas/OrderPlaced/1', 1, $2) returning id as value`,
            [`order-${index}`, PAYLOAD],
          );
          await delay(Math.random() * (index < 4 ? 2500 : 20));
          if (Math.random() < 0.2) await sql.query('rollback');
          else {
            await sql.query('commit');
            committed.add(id);
          }
        }
        await sql.end();
      });
      while (performance.now() < end) {
        const n = await one<string>(
          observer,
          `select count(*) as value from pg_stat_activity where wait_event = 'PgSleep' and backend_xid is null`,
        );
        without = Math.max(without, Number(n));
        await delay(50);
      }
      await Promise.all(writers);
      await delay(500);
      open = false;
      await relaying;
      await delay(1100);
      await relay(way, (rows) => (rows.forEach(({ id }) => published.add(id)), Promise.resolve()));
      say('lost', {
        name,
        committed: committed.size,
        lost: [...committed].filter((id) => !published.has(id)).length,
        sentTwice: sent - published.size,
        sleptWithoutXid: without,
        gapsLeft: way instanceof LogWay ? way.gaps.length : undefined,
      });
      await observer.end();
    }
  },

  async retention(bench) {
    await createTables(bench.sql);
    await createRing(bench.sql);
    await seed(bench.sql, 100_000);
    await seed(bench.sql, 100_000, 'ring');
    const way = new LogWay(bench.sql);
    await relay(way, () => Promise.resolve());
    await way.poll();
    await bench.sql.query('checkpoint');
    let wal = await walBytes(bench.sql);
    const chunks: number[] = [];
    for (let n = -1; n !== 0;) {
      const began = performance.now();
      n = await way.purge(bench.sql);
      if (n > 0) chunks.push(performance.now() - began);
    }
    say('retention', {
      name: 'delete of 5,000 rows',
      ms: median(chunks),
      slowest: round(Math.max(...chunks)),
      walPerRow: Math.round(((await walBytes(bench.sql)) - wal) / 100_000),
    });
    wal = await walBytes(bench.sql);
    const began = performance.now();
    await bench.sql.query('truncate proto.ring_0, proto.ring_1, proto.ring_2, proto.ring_3');
    say('retention', {
      name: 'truncate',
      ms: round(performance.now() - began),
      wal: (await walBytes(bench.sql)) - wal,
    });
    // Anyone who has looked at the table and left the transaction open.
    const holder = await connect(bench.url);
    await holder.query('begin; select from proto.ring limit 1');
    await bench.sql.query(`set lock_timeout = '200ms'`);
    const refused = await bench.sql.query('truncate proto.ring_0').then(
      () => 'done',
      (error: Error) => error.message,
    );
    await bench.sql.query('reset lock_timeout');
    say('retention', { name: 'truncate beside a transaction that has read the table', refused });
    await holder.end();
  },

  async ring(bench) {
    await createTables(bench.sql);
    await createRing(bench.sql);
    await seed(bench.sql, 20_000);
    await seed(bench.sql, 20_000, 'ring');
    const planning: Record<string, number[]> = { outbox: [], ring: [] };
    const inserting: Record<string, number[]> = { outbox: [], ring: [] };
    for (let n = 0; n < 200; n++)
      for (const table of ['outbox', 'ring']) {
        const { rows } = await bench.sql.query<{ 'QUERY PLAN': { 'Planning Time': number }[] }>(
          `explain (summary, format json)
           (select ${COLUMNS} from proto.${table} where position > 19000 order by position limit 1000)
           union all
           (select late.* from unnest('{[5,6)}'::int8multirange) as gap
              cross join lateral (select ${COLUMNS} from proto.${table}
                where position >= lower(gap) and position < upper(gap) order by position limit 1000) as late)
           order by position limit 1000`,
        );
        planning[table]?.push(rows[0]?.['QUERY PLAN'][0]?.['Planning Time'] ?? Number.NaN);
      }
    for (let n = 0; n < 20; n++)
      for (const table of ['outbox', 'ring']) {
        await bench.sql.query('begin');
        const began = performance.now();
        for (let row = 0; row < 200; row++)
          await bench.sql.query(
            `insert into proto.${table} (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
             values (uuidv7(), 'order', 'order-1', 'OrderPlaced', '/schemas/OrderPlaced/1', 1, $1)`,
            [PAYLOAD],
          );
        inserting[table]?.push((performance.now() - began) / 200);
        await bench.sql.query('commit');
      }
    for (const table of ['outbox', 'ring'])
      say('ring', {
        table,
        planReadMs: median(planning[table] ?? []),
        insertMs: round(quantile(inserting[table] ?? [], 0.5), 3),
      });
  },
};

/** Rows of `slow` and of `others` in turn, `count` of each; only the others' are committed. */
async function addAlternating(slow: pg.Client, others: pg.Client, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await slow.query(PLACE_ORDER, [PAYLOAD]);
    await others.query(PLACE_ORDER, [PAYLOAD]);
  }
}

async function keepPurging(
  url: string,
  way: LogWay,
  open: () => boolean,
  onPurge?: (ms: number) => void,
): Promise<void> {
  const sql = await connect(url);
  while (open()) {
    const began = performance.now();
    const gone = await way.purge(sql);
    if (gone > 0) onPurge?.(performance.now() - began);
    // A full chunk is followed by the next; else there is time.
    if (gone < 5000) await delay(1000);
  }
  await sql.end();
}

async function writeFor(load: Load): Promise<number> {
  const worker = new Worker(new URL('load.js', import.meta.url), { workerData: load });
  const [commits] = (await once(worker, 'message')) as [number];
  return commits;
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(', ')}. There are: ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}
const [postgres, kafka] = await Promise.all([startPostgres(), startKafka()]);
try {
  const sql = await connect(postgres.url);
  const { send, close } = await connectKafka(kafka.brokers);
  for (const [name, part] of Object.entries(parts))
    if (wanted.length === 0 || wanted.includes(name)) await part({ url: postgres.url, sql, send });
  await close();
  await sql.end();
} finally {
  await Promise.all([postgres.remove(), kafka.remove()]);
}
