import { describeRunningService } from '@twinbox/test-support';
import { startPaymentService } from './payment-service.harness.js';

describe('payment-service', () => {
  describeRunningService({
    start: startPaymentService,
    schema: 'payments',
    table: 'payment_requests',
    otherSchema: 'orders',
    otherTable: 'orders',
    consumers: ['payment-service'],
    timers: ['expiry'],
    path: '/payment-requests',
  });
});
