import { type DynamicModule, type Type } from '@nestjs/common';
import {
  databaseModule,
  type DatabaseOptions,
  HealthModule,
  loggerModule,
  MESSAGING_DATA_SOURCE,
  MetricsModule,
  type MetricsSource,
} from '@twinbox/api-kit';
import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { MessagingHealth, MessagingMetrics, MessagingModule } from '@twinbox/messaging';
import { type PaymentServiceConfig } from './config.js';

export const NAME = 'payment-service';
/** The consumer through which payments follow their orders. */
export const PAYMENT_PROCESS = Symbol('payment-process');
/** Of messaging's pool: four messages are handled at a time, and the gateway's calls, expiry and the inbox write beside them. */
const MESSAGING_POOL_SIZE = 8;

/** What the service and a relay of its own stand on: log, database, messaging, health and metrics. */
export function platform(
  config: PaymentServiceConfig,
  options: Pick<DatabaseOptions, 'applicationName' | 'entities' | 'poolSize'> & {
    readonly relay: boolean;
    /** What has metrics beside messaging, of global modules. */
    readonly metrics?: readonly Type<MetricsSource>[];
  },
): DynamicModule[] {
  const { relay, metrics = [], ...database } = options;
  return [
    loggerModule(config, options.applicationName),
    databaseModule({
      ...database,
      messagingPoolSize: MESSAGING_POOL_SIZE,
      url: config.DATABASE_URL,
      schema: 'payments',
    }),
    MessagingModule.forRoot({
      schema: 'payments',
      dataSource: MESSAGING_DATA_SOURCE,
      databaseUrl: config.DATABASE_URL,
      brokers: config.KAFKA_BROKERS,
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
