import { createApp } from '@twinbox/api-kit';
import { describeAdministration } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { AppModule } from '../src/app.module.js';
import { OrderServiceConfig } from '../src/config.js';
import { startOrderService } from './order-service.harness.js';

const NOTIFICATION = { type: 'OrderCompleted', orderId: uuidv7(), customerId: 'ada', reason: null };

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
      jobs: {
        notification: {
          data: NOTIFICATION,
          edited: { ...NOTIFICATION, customerId: 'ada@example.org' },
          refused: [
            { ...NOTIFICATION, orderId: uuidv7() },
            { ...NOTIFICATION, type: 'OrderFinished' },
            { ...NOTIFICATION, customerId: 17 },
            { ...NOTIFICATION, customerId: undefined },
            { ...NOTIFICATION, reason: {} },
          ],
        },
      },
      anotherReplica: () => createApp(AppModule.with(config), config, openApi),
    };
  });
});
