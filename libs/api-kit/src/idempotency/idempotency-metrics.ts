import { Global, Injectable, Module } from '@nestjs/common';
import { Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { addDatabaseGauges, readForGauges } from '../app/database-gauges.js';
import { MetricsSource } from '../app/metrics.js';
import { ServiceConfig } from '../app/service-config.js';
import { IdempotencyStore } from './idempotency-store.js';
import { schemaOf } from './unit-of-work.js';

/** Reports how many idempotency keys are stored, and whether expired ones are removed. */
@Injectable()
export class IdempotencyMetrics extends MetricsSource {
  override readonly registry = new Registry();

  constructor(dataSource: DataSource, { IDEMPOTENCY_KEY_TTL }: ServiceConfig) {
    super();
    const store = new IdempotencyStore(schemaOf(dataSource), IDEMPOTENCY_KEY_TTL);
    const read = () => readForGauges(dataSource, (tx) => store.count(tx));
    addDatabaseGauges(this.registry, read, [
      {
        name: 'idempotency_keys',
        help: 'Stored idempotency keys. Counted up to 10,000, and estimated beyond.',
        labelNames: [],
        samples: ({ keys }) => [{ labels: {}, value: keys }],
      },
      {
        name: 'idempotency_keys_oldest_age_seconds',
        help: 'Age of the oldest stored idempotency key; 0 if there is none.',
        labelNames: [],
        samples: ({ oldestSeconds }) => [{ labels: {}, value: oldestSeconds }],
      },
    ]);
  }
}

/** Global, because the metrics module collects its sources without importing their modules. */
@Global()
@Module({ providers: [IdempotencyMetrics], exports: [IdempotencyMetrics] })
export class IdempotencyMetricsModule {}
