import { HOSTILE_SETTINGS, setForRole, until } from '@twinbox/messaging/testing';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
beforeAll(async () => {
  service = await startPaymentService();
  await setForRole(service.database, 'payments', HOSTILE_SETTINGS);
  await until('the service is healthy', async () => (await service.caller({}).get('/health')).status === 200);
});
afterAll(() => service.stop());

const isTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

it('P1 a paid and refunded payment has its times, whatever the settings of the role', async () => {
  const request = await service.aRequest();
  const path = `/payment-requests/${request.id}`;

  const paid = await service.anOperator().post(`${path}/succeed`);
  await service.receivesCancelled(request);
  await service.untilStatus(request, 'REFUNDED');
  const timeline = await service.anOperator().get(`${path}/timeline`);

  expect(paid).toMatchObject({ status: 200, body: { status: 'SUCCEEDED', createdAt: isTime, expiresAt: isTime } });
  expect(Date.parse(paid.body.expiresAt)).toBeGreaterThan(Date.now());
  expect(timeline.body.items.length).toBeGreaterThan(2);
  for (const step of timeline.body.items) expect(step.at).toEqual(isTime);
});
