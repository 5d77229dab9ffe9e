import { describeEdge } from '@twinbox/test-support';
import { startOrderService } from './order-service.harness.js';

describe('order-service', () => {
  describeEdge({
    start: () => startOrderService(),
    headersFor: () => ({ 'x-user-id': 'ops', 'x-roles': 'admin' }),
  });
});
