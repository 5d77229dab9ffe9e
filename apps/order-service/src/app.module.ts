import { type DynamicModule, Module } from '@nestjs/common';
import { Clock, SystemClock } from '@twinbox/kernel';
import { OrdersController } from './adapters/http/orders.controller.js';
import { ProductsController } from './adapters/http/products.controller.js';
import { PaymentEventsController } from './adapters/messaging/payment-events.controller.js';
import { entities } from './adapters/postgres/entities.js';
import { PostgresOrderStore } from './adapters/postgres/postgres-order-store.js';
import { PostgresProductStore } from './adapters/postgres/postgres-product-store.js';
import { HearPayment } from './application/hear-payment.js';
import { OrderStore } from './application/order-store.js';
import { PlaceOrder } from './application/place-order.js';
import { ProductStore } from './application/product-store.js';
import { type OrderServiceConfig } from './config.js';
import { NAME, platform } from './platform.js';

/** The only place that knows every part of the service. */
@Module({})
export class AppModule {
  static with(config: OrderServiceConfig): DynamicModule {
    return {
      module: AppModule,
      imports: platform(config, { applicationName: NAME, entities, relay: config.RELAY === 'on' }),
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
