import { connectGrpc, type GrpcApi, logMessages, type Service } from '@twinbox/api-kit';
import { EVENT_DOCUMENTS } from '@twinbox/contracts/event-documents';
import { descriptors } from '@twinbox/contracts/grpc/descriptors';
import { PaymentRequestServiceService } from '@twinbox/contracts/grpc/payments';
import { connectInboxes } from '@twinbox/messaging';
import { AppModule } from './app.module.js';
import { PaymentServiceConfig } from './config.js';

export const paymentGrpc = {
  services: { 'twinbox.payments.v1.PaymentRequestService': PaymentRequestServiceService },
  descriptors,
} satisfies GrpcApi;

export const paymentService = {
  name: 'payment-service',
  configClass: PaymentServiceConfig,
  module: (config) => AppModule.with(config),
  configure: async (app) => {
    connectInboxes(app).forEach((inbox) => inbox.useGlobalInterceptors(logMessages));
    await connectGrpc(app, paymentGrpc);
  },
  openApi: {
    title: 'Twinbox payment-service',
    description:
      'The payments of placed orders: PENDING → SUCCEEDED, FAILED or CANCELLED. Money received for a cancelled order is refunded: ' +
      'REFUND_PENDING → REFUNDED.',
    version: '0.1.0',
    license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    tags: {
      'payment requests': 'Follow the payments of orders. Operators settle them by hand where no provider does.',
      webhooks: 'For the payment provider.',
    },
    events: EVENT_DOCUMENTS,
  },
} satisfies Service<PaymentServiceConfig>;
