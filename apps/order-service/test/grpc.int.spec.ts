import { randomUUID } from 'node:crypto';
import { credentials, Metadata } from '@grpc/grpc-js';
import { GrpcEdge } from '@twinbox/api-kit';
import { OrderServiceClient } from '@twinbox/contracts/grpc/orders';
import { type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
let orders: OrderServiceClient;

beforeAll(async () => {
  service = await startOrderService({ GRPC_PORT: '0' });
  orders = new OrderServiceClient(service.app.get(GrpcEdge).address ?? '', credentials.createInsecure());
});
afterAll(async () => {
  orders.close();
  await service.stop();
});

it('works', async () => {
  const productId = await service.aProduct({ price: 450 });
  const metadata = new Metadata();
  metadata.set('x-user-id', `ada ${randomUUID()}`);
  const r = await new Promise((resolve, reject) =>
    orders.createOrder({ draft: false, items: [{ productId, quantity: 2 }] }, metadata, (e, v) =>
      e ? reject(e) : resolve(v),
    ),
  );
  console.log(r);
  const e = await new Promise<any>((resolve) =>
    orders.createOrder({ draft: false, items: [{ productId, quantity: 0 }] }, metadata, (e, v) => resolve(e ?? v)),
  );
  console.log(e.code, e.details, e.metadata.getMap());
});
