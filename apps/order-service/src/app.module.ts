import { type DynamicModule, Module } from '@nestjs/common';
import { databaseModule, HealthModule, loggerModule, MetricsModule } from '@twinbox/api-kit';
import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { Clock, SystemClock } from '@twinbox/kernel';
import { MessagingHealth, MessagingMetrics, MessagingModule } from '@twinbox/messaging';
import { OrdersController } from './adapters/http/orders.controller.js';
import { ProductsController } from './adapters/http/products.controller.js';
import { ORDER_PROCESS, PaymentEventsController } from './adapters/messaging/payment-events.controller.js';
import { entities } from './adapters/postgres/entities.js';
import { PostgresOrderStore } from './adapters/postgres/postgres-order-store.js';
import { PostgresProductStore } from './adapters/postgres/postgres-product-store.js';
import { HearPayment } from './application/hear-payment.js';
import { OrderStore } from './application/order-store.js';
import { PlaceOrder } from './application/place-order.js';
import { ProductStore } from './application/product-store.js';
import { type OrderServiceConfig } from './config.js';

const NAME = 'order-service';

/** The only place that knows every part of the service. */
@Module({})
export class AppModule {
  static with(config: OrderServiceConfig): DynamicModule {
    return {
      module: AppModule,
      imports: [
        loggerModule(config, NAME),
        databaseModule({ url: config.DATABASE_URL, schema: 'orders', applicationName: NAME, entities }),
        MessagingModule.forRoot({
          schema: 'orders',
          databaseUrl: config.DATABASE_URL,
          brokers: config.KAFKA_BROKERS,
          service: NAME,
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
      ],
      controllers: [OrdersController, ProductsController, PaymentEventsController],
      providers: [
        PlaceOrder,
        HearPayment,
        { provide: OrderStore, useClass: PostgresOrderStore },
        { provide: ProductStore, useClass: PostgresProductStore },
        { provide: Clock, useClass: SystemClock },
      ],
    };
  }
}
