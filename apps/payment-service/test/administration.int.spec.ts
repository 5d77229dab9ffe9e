import { createApp } from '@twinbox/api-kit';
import { describeAdministration } from '@twinbox/test-support';
import { AppModule } from '../src/app.module.js';
import { anOrder, startPaymentService } from './payment-service.harness.js';

describe('payment-service', () => {
  describeAdministration(async () => {
    const service = await startPaymentService();
    const { config, openApi, topics } = service;
    return {
      service,
      schema: 'payments',
      topic: topics.orderEvents,
      event: { type: 'OrderPlaced', version: 2, data: anOrder() },
      anotherReplica: () => createApp(AppModule.with(config), config, openApi),
    };
  });
});
