import { type DynamicModule, Module } from '@nestjs/common';
import { AdminModule, IdempotencyMetrics, UnitOfWorkModule } from '@twinbox/api-kit';
import { Clock, SystemClock } from '@twinbox/kernel';
import { gatewayOf } from './adapters/gateway/gateway-of.js';
import { GrpcPaymentRequestsController } from './adapters/grpc/payment-requests.controller.js';
import { PaymentRequestsController } from './adapters/http/payment-requests.controller.js';
import { PaymentRequests } from './adapters/http/payment-requests.js';
import { WebhookMetrics, WebhookMetricsModule } from './adapters/http/webhook-metrics.js';
import { WebhookSignature } from './adapters/http/webhook-signature.js';
import { WebhooksController } from './adapters/http/webhooks.controller.js';
import { GatewayCalls } from './adapters/jobs/gateway-calls.js';
import { OrderEventsController } from './adapters/messaging/order-events.controller.js';
import { entities } from './adapters/postgres/entities.js';
import { PaymentMetrics, PaymentMetricsModule } from './adapters/postgres/payment-metrics.js';
import { PostgresPaymentRequestList } from './adapters/postgres/postgres-payment-request-list.js';
import { PostgresPaymentRequestStore } from './adapters/postgres/postgres-payment-request-store.js';
import { PostgresPaymentTimeline } from './adapters/postgres/postgres-payment-timeline.js';
import { PaymentExpiry } from './adapters/timers/payment-expiry.js';
import { ApplyPaymentResult } from './application/apply-payment-result.js';
import { CancelPayment } from './application/cancel-payment.js';
import { ChargePayment } from './application/charge-payment.js';
import { ConfirmRefund } from './application/confirm-refund.js';
import { CreatePaymentRequest } from './application/create-payment-request.js';
import { DecidePayment } from './application/decide-payment.js';
import { ExpirePayments } from './application/expire-payments.js';
import { PaymentGateway } from './application/payment-gateway.js';
import { PaymentJournal } from './application/payment-journal.js';
import { PaymentRequestList } from './application/payment-request-list.js';
import { PaymentRequestStore } from './application/payment-request-store.js';
import { PaymentTerms } from './application/payment-terms.js';
import { PaymentTimeline } from './application/payment-timeline.js';
import { RefundPayment } from './application/refund-payment.js';
import { type PaymentServiceConfig } from './config.js';
import { NAME, topology } from './topology.js';

/** The only file that knows every part of the service. */
@Module({})
export class AppModule {
  static with(config: PaymentServiceConfig): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ...topology(config, {
          applicationName: NAME,
          entities,
          relay: config.RELAY === 'on',
          metrics: [IdempotencyMetrics, PaymentMetrics, WebhookMetrics],
        }),
        UnitOfWorkModule,
        AdminModule,
        PaymentMetricsModule,
        WebhookMetricsModule,
      ],
      controllers: [
        PaymentRequestsController,
        GrpcPaymentRequestsController,
        WebhooksController,
        OrderEventsController,
      ],
      providers: [
        CreatePaymentRequest,
        CancelPayment,
        DecidePayment,
        ConfirmRefund,
        ApplyPaymentResult,
        ChargePayment,
        RefundPayment,
        ExpirePayments,
        PaymentJournal,
        PaymentRequests,
        GatewayCalls,
        PaymentExpiry,
        WebhookSignature,
        { provide: PaymentRequestStore, useClass: PostgresPaymentRequestStore },
        { provide: PaymentRequestList, useClass: PostgresPaymentRequestList },
        { provide: PaymentTimeline, useClass: PostgresPaymentTimeline },
        { provide: PaymentGateway, useFactory: () => gatewayOf(config) },
        { provide: PaymentTerms, useValue: { ttlMs: config.PAYMENT_TTL } satisfies PaymentTerms },
        { provide: Clock, useClass: SystemClock },
      ],
    };
  }
}
