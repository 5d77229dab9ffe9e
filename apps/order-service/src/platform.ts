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
import { type OrderServiceConfig } from './config.js';

export const NAME = 'order-service';
/** The consumer through which an order follows its payment. */
export const ORDER_PROCESS = Symbol('order-process');
/** The consumer that has customers told of their orders. */
export const NOTIFICATIONS = Symbol('notifications');
/** Of messaging's pool: each of the two consumers handles four messages at a time, and jobs and inboxes write beside them. */
const MESSAGING_POOL_SIZE = 10;

/** What the service and a relay of its own stand on: log, database, messaging, health and metrics. */
export function platform(
  config: OrderServiceConfig,
  options: Pick<DatabaseOptions, 'applicationName' | 'entities' | 'poolSize'> & {
    readonly relay: boolean;
    /** What has metrics beside messaging, of global modules. */
    readonly metrics?: readonly Type<MetricsSource>[];
  },
): DynamicModule[] {
  const { relay, metrics = [], ...database } = options;
  const { ORDER_EVENTS_TOPIC: name, ORDER_EVENTS_PARTITIONS: partitions } = config;
  const orderEvents = { ...ORDER_EVENTS, name, partitions };
  return [
    loggerModule(config, options.applicationName),
    databaseModule({
      ...database,
      messagingPoolSize: MESSAGING_POOL_SIZE,
      url: config.DATABASE_URL,
      schema: 'orders',
    }),
    MessagingModule.forRoot({
      schema: 'orders',
      dataSource: MESSAGING_DATA_SOURCE,
      databaseUrl: config.DATABASE_URL,
      brokers: config.KAFKA_BROKERS,
      service: NAME,
      relay,
      overdueAfterMs: config.OUTBOX_OVERDUE_AFTER,
      publishes: [orderEvents],
      consumes: [
        {
          consumer: ORDER_PROCESS,
          groupId: config.CONSUMER_GROUP,
          topic: { ...PAYMENT_EVENTS, name: config.PAYMENT_EVENTS_TOPIC },
          // Its handlers touch only the order that is their key.
          groupCommit: true,
        },
        {
          consumer: NOTIFICATIONS,
          groupId: config.NOTIFICATIONS_GROUP,
          topic: orderEvents,
          // Its handlers only write jobs, each for itself: what one of them cannot do holds up no other.
          groupCommit: true,
          afterDeadLetter: 'go-on',
        },
      ],
    }),
    HealthModule.forRoot({ messaging: MessagingHealth }),
    MetricsModule.forRoot({ sources: [MessagingMetrics, ...metrics] }),
  ];
}
