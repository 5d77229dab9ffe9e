import { createApp } from '@twinbox/api-kit';
import { describeAdministration } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { AppModule } from '../src/app.module.js';
import { OrderServiceConfig } from '../src/config.js';
import { startOrderService } from './order-service.harness.js';

describe('order-service', () => {
  describeAdministration(async () => {
    const service = await startOrderService();
    const { app, openApi, topics } = service;
    const config = app.get(OrderServiceConfig);
    return {
      service,
      schema: 'orders',
      topic: topics.paymentEvents,
      event: { type: 'PaymentSucceeded', version: 1, data: { orderId: uuidv7(), paymentRequestId: uuidv7() } },
      anotherReplica: () => createApp(AppModule.with(config), config, openApi),
    };
  });
});
