import { type DynamicModule, Module } from '@nestjs/common';
import { Clock, SystemClock } from '@twinbox/kernel';
import { PaymentRequestsController } from './adapters/http/payment-requests.controller.js';
import { OrderEventsController } from './adapters/messaging/order-events.controller.js';
import { entities } from './adapters/postgres/entities.js';
import { PostgresPaymentRequestStore } from './adapters/postgres/postgres-payment-request-store.js';
import { CreatePaymentRequest } from './application/create-payment-request.js';
import { DecidePayment } from './application/decide-payment.js';
import { PaymentRequestStore } from './application/payment-request-store.js';
import { type PaymentServiceConfig } from './config.js';
import { NAME, platform } from './platform.js';

/** The only place that knows every part of the service. */
@Module({})
export class AppModule {
  static with(config: PaymentServiceConfig): DynamicModule {
    return {
      module: AppModule,
      imports: platform(config, { applicationName: NAME, entities, relay: config.RELAY === 'on' }),
      controllers: [PaymentRequestsController, OrderEventsController],
      providers: [
        CreatePaymentRequest,
        DecidePayment,
        { provide: PaymentRequestStore, useClass: PostgresPaymentRequestStore },
        { provide: Clock, useClass: SystemClock },
      ],
    };
  }
}
