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
import { type OrderServiceConfig } from './config.js';

export const NAME = 'order-service';
/** The consumer of payment events. */
export const ORDER_PROCESS = Symbol('order-process');
/** The consumer that adds notifications. */
export const NOTIFICATIONS = Symbol('notifications');
/** Each of the two consumers has four slots, of which a group commit takes one. Jobs and inboxes write concurrently. */
const MESSAGING_POOL_SIZE = 10;

/** The modules shared by the service and its separate relay. */
export function topology(
  config: OrderServiceConfig,
  options: Pick<DatabaseOptions, 'applicationName' | 'entities' | 'poolSize'> & {
    readonly relay: boolean;
    /** Further sources of metrics, from global modules. */
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
      url: secretOf(config, 'DATABASE_URL'),
      schema: 'orders',
    }),
    MessagingModule.forRoot({
      schema: 'orders',
      dataSource: MESSAGING_DATA_SOURCE,
      databaseUrl: secretOf(config, 'DATABASE_URL'),
      brokers: config.KAFKA_BROKERS,
      security: kafkaSecurity(config),
      service: NAME,
      relay,
      overdueAfterMs: config.OUTBOX_OVERDUE_AFTER,
      publishes: [orderEvents],
      consumes: [
        {
          consumer: ORDER_PROCESS,
          groupId: config.CONSUMER_GROUP,
          topic: { ...PAYMENT_EVENTS, name: config.PAYMENT_EVENTS_TOPIC },
          // Safe because each handler touches only the order that is its key.
          groupCommit: true,
        },
        {
          consumer: NOTIFICATIONS,
          groupId: config.NOTIFICATIONS_GROUP,
          topic: orderEvents,
          // Each handler only adds a job, so a failure of one does not affect the others.
          groupCommit: true,
          afterDeadLetter: 'go-on',
        },
      ],
    }),
    HealthModule.forRoot({ messaging: MessagingHealth }),
    MetricsModule.forRoot({ sources: [MessagingMetrics, ...metrics] }),
  ];
}
