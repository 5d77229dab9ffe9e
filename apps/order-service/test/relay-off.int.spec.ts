import { until } from '@twinbox/messaging/testing';
import { aCart, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService({ RELAY: 'off', OUTBOX_OVERDUE_AFTER: '1s' });
});
afterAll(() => service.stop());

it('P9 with RELAY=off, messaging is reported down while no relay publishes, and orders are still accepted', async () => {
  const anyone = service.caller({});
  expect((await anyone.get('/health/messaging')).status).toBe(200);

  await service.aCustomer().post('/orders', aCart());
  const { body } = await until('messaging is down', async () => {
    const answer = await anyone.get('/health/messaging');
    return answer.status === 503 && answer;
  });

  expect(body.error.messaging.components.relay).toMatchObject({
    healthy: false,
    role: 'elsewhere',
    problem: expect.stringContaining('The oldest unpublished message has waited for'),
  });
  expect(body.error.messaging).toMatchObject({
    deadLetters: { count: 0, oldestSeconds: 0 },
    deadJobs: { count: 0, oldestSeconds: 0 },
    heldKeys: { count: 0, oldestSeconds: 0 },
  });
  expect((await anyone.get('/health/ready')).status).toBe(200);
});
