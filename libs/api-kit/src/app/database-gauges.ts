import { CachedReading } from '@twinbox/messaging';
import { Gauge, type Registry } from 'prom-client';

/** Together with other metrics of the database, which are read at the same time, a scrape takes no longer than this. */
const TIMES = { freshMs: 1000, boundMs: 2000 };

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

/**
 * Adds gauges that share one reading of the database, which is made when they are scraped, at most once a second. They are absent while the
 * database cannot be read within 2 s; `messaging_scrape_errors_total` shows why.
 */
export function addDatabaseGauges<Reading>(
  registry: Registry,
  read: () => Promise<Reading>,
  gauges: readonly DatabaseGauge<Reading>[],
): void {
  const reading = new CachedReading(read, TIMES, () => undefined);
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
