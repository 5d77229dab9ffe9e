import { type Registry } from 'prom-client';
import { type CachedReading } from './cached-reading.js';
import { type TableReading } from './metrics-store.js';
import { addMetric, type Sample } from './sampled-metric.js';

type Read = () => readonly Sample[] | Promise<readonly Sample[]>;

/** The metrics of a registry, and the reading of the tables that many of them share. */
export class MetricSet {
  constructor(
    private readonly registry: Registry,
    private readonly tables: CachedReading<TableReading>,
  ) {}

  counter(name: string, help: string, read: Read): void {
    addMetric(this.registry, { name, help, type: 'counter', read });
  }

  gauge(name: string, help: string, read: Read): void {
    addMetric(this.registry, { name, help, type: 'gauge', read });
  }

  histogram(name: string, help: string, read: Read): void {
    addMetric(this.registry, { name, help, type: 'histogram', read });
  }

  ofTables(name: string, help: string, read: (tables: TableReading) => readonly Sample[]): void {
    this.gauge(name, help, async () => {
      const tables = await this.tables.get();
      return tables ? read(tables) : [];
    });
  }
}
