import { Logger } from '@nestjs/common';
import { jest } from '@jest/globals';
import { LogNotifier } from './log-notifier.js';

afterEach(() => jest.restoreAllMocks());

it('writes one line that names the order and the customer but not the reason, which is free text', async () => {
  const log = jest.spyOn(Logger.prototype, 'log').mockImplementation(() => undefined);

  await new LogNotifier().notify({
    type: 'OrderCancelled',
    orderId: 'order-1',
    customerId: 'ada',
    reason: 'none of your business',
  });

  expect(log.mock.calls).toEqual([
    ['Notifying the customer of OrderCancelled', { orderId: 'order-1', customerId: 'ada' }],
  ]);
});
