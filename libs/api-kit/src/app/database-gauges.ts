import { Logger } from '@nestjs/common';
import { CachedReading } from '@twinbox/messaging';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { DataSource, EntityManager } from 'typeorm';

/** Together with other metrics of the database, which are read at the same time, a scrape takes no longer than this. */
const TIMES = { freshMs: 1000, boundMs: 2000 };

const logger = new Logger('Metrics');

interface DatabaseGauge<Reading> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly samples: (reading: Reading) => readonly GaugeSample[];
}

interface GaugeSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** How often each reading failed, by the registry of its gauges and the name of the first of them. */
const failures = new WeakMap<Registry, Map<string, () => number>>();

/**
 * Adds gauges that share one reading of the database, which is made when they are scraped, at most once a second. They are absent while the
 * database cannot be read within 2 s; `database_gauge_errors_total` counts that under the name of the first gauge, and the log has the
 * reason at the level `debug`.
 */
export function addDatabaseGauges<Reading>(
  registry: Registry,
  read: () => Promise<Reading>,
  gauges: readonly DatabaseGauge<Reading>[],
): void {
  const source = gauges[0]?.name ?? '';
  const reading = new CachedReading(read, TIMES, (error) =>
    logger.debug({ err: error }, `Cannot read ${source} from the database.`),
  );
  failures.set(
    registry,
    (failures.get(registry) ?? new Map<string, () => number>()).set(source, () => reading.failures),
  );
  for (const { name, help, labelNames, samples } of gauges)
    registry.registerMetric(
      new Gauge({
        name,
        help,
        labelNames,
        registers: [],
        async collect() {
          const current = await reading.get();
          this.reset();
          // A gauge without labels would show 0.
          if (labelNames.length === 0) this.remove();
          for (const { labels, value } of current === undefined ? [] : samples(current)) this.set(labels, value);
        },
      }),
    );
}

/**
 * Runs the queries of a reading in a transaction in which each ends after 2 s, and in which the planner reads along indexes and does not
 * compile. To count up to a limit along an index, select a range and order by all columns of the index (`status >= $1 and status <= $1
 * order by status, id limit …`). With `status = $1 order by id`, the planner may walk the primary key, past all rows of other statuses.
 */
export async function readForGauges<Reading>(
  dataSource: DataSource,
  read: (tx: EntityManager) => Promise<Reading>,
): Promise<Reading> {
  return dataSource.transaction(async (tx) => {
    await tx.query(
      `select set_config('statement_timeout', $1, true), set_config('enable_seqscan', 'off', true),
              set_config('enable_bitmapscan', 'off', true), set_config('jit', 'off', true)`,
      [String(TIMES.boundMs)],
    );
    return read(tx);
  });
}

/** Counts the failed readings of the gauges in `sources`. Without it, nobody would notice that an alert on a gauge cannot fire. */
export function countFailedReadings(registry: Registry, sources: readonly Registry[]): void {
  registry.registerMetric(
    new Counter({
      name: 'database_gauge_errors_total',
      help: 'Failed attempts to read gauges from the database, by the first of the gauges.',
      labelNames: ['source'],
      registers: [],
      collect() {
        this.reset();
        for (const of of sources) for (const [source, count] of failures.get(of) ?? []) this.inc({ source }, count());
      },
    }),
  );
}
