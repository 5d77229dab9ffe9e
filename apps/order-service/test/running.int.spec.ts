import { describeRunningService } from '@twinbox/test-support';
import { startOrderService } from './order-service.harness.js';

describe('order-service', () => {
  describeRunningService({
    start: () => startOrderService(),
    schema: 'orders',
    table: 'orders',
    otherSchema: 'payments',
    otherTable: 'payment_requests',
    consumers: ['order-service', 'order-service-notifications'],
    path: '/orders',
  });
});
