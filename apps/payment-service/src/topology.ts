import { type DynamicModule, type Type } from '@nestjs/common';
import {
  databaseModule,
  type DatabaseOptions,
  HealthModule,
  kafkaSecurity,
  loggerModule,
  MESSAGING_DATA_SOURCE,
  MetricsModule,
  type MetricsSource,
  secretOf,
} from '@twinbox/api-kit';
import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { MessagingHealth, MessagingMetrics, MessagingModule } from '@twinbox/messaging';
import { type PaymentServiceConfig } from './config.js';

export const NAME = 'payment-service';
export const PAYMENT_PROCESS = Symbol('payment-process');
/** The consumer has four slots, of which a group commit takes one. Gateway calls, expiry and inbox writes need connections as well. */
const MESSAGING_POOL_SIZE = 8;

/** The modules that the service and its standalone relay share: log, database, messaging, health and metrics. */
export function topology(
  config: PaymentServiceConfig,
  options: Pick<DatabaseOptions, 'applicationName' | 'entities' | 'poolSize'> & {
    readonly relay: boolean;
    /** Sources of metrics besides messaging; their modules must be global. */
    readonly metrics?: readonly Type<MetricsSource>[];
  },
): DynamicModule[] {
  const { relay, metrics = [], ...database } = options;
  return [
    loggerModule(config, options.applicationName),
    databaseModule({
      ...database,
      messagingPoolSize: MESSAGING_POOL_SIZE,
      url: secretOf(config, 'DATABASE_URL'),
      schema: 'payments',
    }),
    MessagingModule.forRoot({
      schema: 'payments',
      dataSource: MESSAGING_DATA_SOURCE,
      databaseUrl: secretOf(config, 'DATABASE_URL'),
      brokers: config.KAFKA_BROKERS,
      security: kafkaSecurity(config),
      service: NAME,
      relay,
      overdueAfterMs: config.OUTBOX_OVERDUE_AFTER,
      publishes: [
        { ...PAYMENT_EVENTS, name: config.PAYMENT_EVENTS_TOPIC, partitions: config.PAYMENT_EVENTS_PARTITIONS },
      ],
      consumes: [
        {
          consumer: PAYMENT_PROCESS,
          groupId: config.CONSUMER_GROUP,
          topic: { ...ORDER_EVENTS, name: config.ORDER_EVENTS_TOPIC },
          // The handlers touch the rows of their own order only.
          groupCommit: true,
        },
      ],
    }),
    HealthModule.forRoot({ messaging: MessagingHealth }),
    MetricsModule.forRoot({ sources: [MessagingMetrics, ...metrics] }),
  ];
}
