import { type DynamicModule, Module } from '@nestjs/common';
import { databaseModule, HealthModule, loggerModule, MetricsModule } from '@twinbox/api-kit';
import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { Clock, SystemClock } from '@twinbox/kernel';
import { MessagingHealth, MessagingMetrics, MessagingModule } from '@twinbox/messaging';
import { PaymentRequestsController } from './adapters/http/payment-requests.controller.js';
import { OrderEventsController, PAYMENT_PROCESS } from './adapters/messaging/order-events.controller.js';
import { entities } from './adapters/postgres/entities.js';
import { PostgresPaymentRequestStore } from './adapters/postgres/postgres-payment-request-store.js';
import { CreatePaymentRequest } from './application/create-payment-request.js';
import { DecidePayment } from './application/decide-payment.js';
import { PaymentRequestStore } from './application/payment-request-store.js';
import { type PaymentServiceConfig } from './config.js';

const NAME = 'payment-service';

/** The only place that knows every part of the service. */
@Module({})
export class AppModule {
  static with(config: PaymentServiceConfig): DynamicModule {
    return {
      module: AppModule,
      imports: [
        loggerModule(config, NAME),
        databaseModule({ url: config.DATABASE_URL, schema: 'payments', applicationName: NAME, entities }),
        MessagingModule.forRoot({
          schema: 'payments',
          databaseUrl: config.DATABASE_URL,
          brokers: config.KAFKA_BROKERS,
          service: NAME,
          publishes: [{ ...PAYMENT_EVENTS, name: config.PAYMENT_EVENTS_TOPIC }],
          consumes: [
            {
              consumer: PAYMENT_PROCESS,
              groupId: config.CONSUMER_GROUP,
              topic: { ...ORDER_EVENTS, name: config.ORDER_EVENTS_TOPIC },
            },
          ],
        }),
        HealthModule.forRoot({ messaging: MessagingHealth }),
        MetricsModule.forRoot({ sources: [MessagingMetrics] }),
      ],
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
