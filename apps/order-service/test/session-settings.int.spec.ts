import { HOSTILE_SETTINGS, setForRole, until } from '@twinbox/messaging/testing';
import { aCart, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
  await setForRole(service.database, 'orders', HOSTILE_SETTINGS);
  await until('it is healthy', async () => (await service.caller({}).get('/health')).status === 200);
});
afterAll(() => service.stop());

const isTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

it('P1 an order and its timeline have correct times, whatever settings the role has', async () => {
  const customer = service.aCustomer();

  const placed = await customer.post('/orders', aCart());
  const cancelled = await customer.post(`/orders/${placed.body.id}/cancel`, { reason: 'no' });
  const timeline = await customer.get(`/orders/${placed.body.id}/timeline`);
  const list = await customer.get('/orders?createdFrom=2020-01-01T00:00:00Z');

  expect(placed).toMatchObject({ status: 201, body: { createdAt: isTime, updatedAt: isTime, dueAt: isTime } });
  expect(Math.abs(Date.parse(placed.body.createdAt) - Date.now())).toBeLessThan(60_000);
  expect(cancelled).toMatchObject({ status: 200, body: { status: 'CANCELLED', createdAt: placed.body.createdAt } });
  expect(timeline.body.items.length).toBeGreaterThan(0);
  for (const step of timeline.body.items) expect(step.at).toEqual(isTime);
  expect(list.body.items).toMatchObject([{ id: placed.body.id, createdAt: placed.body.createdAt }]);
});

it('migrate:generate reads the schema with default settings, whatever settings the role has', async () => {
  process.env['DATABASE_URL'] = service.database.directUrl;
  await setForRole(service.database, 'postgres', HOSTILE_SETTINGS);
  const { default: connecting } = await import('../src/adapters/postgres/data-source.js');
  const dataSource = await connecting;
  await dataSource.initialize();

  const [row] = await dataSource.query<[object]>(
    `select current_setting('DateStyle') as dates, current_setting('search_path') as path`,
  );

  await dataSource.destroy();
  expect(row).toEqual({ dates: 'ISO, MDY', path: '"$user",public' });
});

it('applies all concurrent changes of a product at any isolation level of the role', async () => {
  const id = await service.aProduct({ stock: 20 });
  const customer = service.aCustomer();

  const answers = await Promise.all(
    Array.from({ length: 8 }, () => customer.post('/orders', aCart({ items: [{ productId: id, quantity: 1 }] }))),
  );

  expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(201));
});
