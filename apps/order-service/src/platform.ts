import { type DynamicModule } from '@nestjs/common';
import { databaseModule, type DatabaseOptions, HealthModule, loggerModule, MetricsModule } from '@twinbox/api-kit';
import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { MessagingHealth, MessagingMetrics, MessagingModule } from '@twinbox/messaging';
import { type OrderServiceConfig } from './config.js';

export const NAME = 'order-service';
/** The consumer through which an order follows its payment. */
export const ORDER_PROCESS = Symbol('order-process');

/** What the service and a relay of its own stand on: log, database, messaging, health and metrics. */
export function platform(
  config: OrderServiceConfig,
  options: Pick<DatabaseOptions, 'applicationName' | 'entities' | 'poolSize'> & { readonly relay: boolean },
): DynamicModule[] {
  const { relay, ...database } = options;
  return [
    loggerModule(config, options.applicationName),
    databaseModule({ ...database, url: config.DATABASE_URL, schema: 'orders' }),
    MessagingModule.forRoot({
      schema: 'orders',
      databaseUrl: config.DATABASE_URL,
      brokers: config.KAFKA_BROKERS,
      service: NAME,
      relay,
      publishes: [{ ...ORDER_EVENTS, name: config.ORDER_EVENTS_TOPIC }],
      consumes: [
        {
          consumer: ORDER_PROCESS,
          groupId: config.CONSUMER_GROUP,
          topic: { ...PAYMENT_EVENTS, name: config.PAYMENT_EVENTS_TOPIC },
        },
      ],
    }),
    HealthModule.forRoot({ messaging: MessagingHealth }),
    MetricsModule.forRoot({ sources: [MessagingMetrics] }),
  ];
}
