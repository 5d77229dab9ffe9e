import { createApp } from '@twinbox/api-kit';
import { describeAdministration } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { AppModule } from '../src/app.module.js';
import { anOrder, startPaymentService } from './payment-service.harness.js';

const PAYMENT = { paymentRequestId: uuidv7(), gateway: 'simulator' };
const PAYMENT_JOB = {
  data: PAYMENT,
  edited: { ...PAYMENT, note: 'by hand' },
  refused: [
    { ...PAYMENT, paymentRequestId: uuidv7() },
    { ...PAYMENT, gateway: 'another' },
    { gateway: PAYMENT.gateway },
  ],
};

describe('payment-service', () => {
  describeAdministration(async () => {
    const service = await startPaymentService();
    const { config, openApi, topics } = service;
    return {
      service,
      schema: 'payments',
      topic: topics.orderEvents,
      event: { type: 'OrderPlaced', version: 2, data: anOrder() },
      jobs: { charge: PAYMENT_JOB, refund: PAYMENT_JOB },
      anotherReplica: () => createApp(AppModule.with(config), config, openApi),
    };
  });
});
