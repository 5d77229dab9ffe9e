import { chown, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { produce, until } from '@twinbox/messaging/testing';
import { createServiceDatabase, expectProblem } from '@twinbox/test-support';
import { mountSmallDisk, QUOTAS_FOR_LOAD, startPostgres, whyNoSmallDisk } from '@twinbox/tools';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { aCart, startOrderService } from './order-service.harness.js';

const whyNot = await whyNoSmallDisk();
/** A skipped block has the reason as its title. */
const onSmallDisk = whyNot === undefined ? describe : describe.skip;

const undo: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (let step = undo.pop(); step; step = undo.pop()) await step();
});

/** Starts order-service on a database whose tables are on a disk of their own. */
async function startOnSmallDisk() {
  const disk = await mountSmallDisk(48);
  undo.push(() => disk.close());
  // A server of its own, because a full tablespace also fails the checkpoints of all other databases.
  const postgres = await startPostgres({ settings: { fsync: 'off' } });
  undo.push(() => postgres.remove());
  const { uid, gid } = await stat(postgres.dataDir);
  const location = join(disk.path, 'tablespace');
  await mkdir(location, { mode: 0o700 });
  await chown(location, uid, gid);
  const admin = new pg.Client({ connectionString: postgres.url });
  await admin.connect();
  await admin.query(`create tablespace small location '${location}'`);
  await admin.end();
  const service = await startOrderService(QUOTAS_FOR_LOAD, createServiceDatabase(postgres.url, 'small'));
  undo.push(() => service.stop());
  // The harness keeps the lease from the service.
  await service.database.sql(`update orders.relay_lease set expires_at = '-infinity'`);
  return { disk, service };
}

onSmallDisk(whyNot ?? 'on a disk of its own', () => {
  it('P2 P5 P8 a full disk of PostgreSQL costs 503s until there is space again, and no message', async () => {
    const { disk, service } = await startOnSmallDisk();
    const ada = service.aCustomer();
    const place = () => ada.post('/orders', aCart());
    const unpublished = () =>
      service.database.sql('select from orders.outbox where position > (select position from orders.relay_lease)');
    const { body: before } = await place();

    await disk.fill();
    // Pages with free space are used up first.
    const refused = await until('an order is refused', async () => {
      const answer = await place();
      return answer.status !== 201 && answer;
    });
    expectProblem(refused, 503, 'database-unavailable');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect((await ada.get(`/orders/${before.id}`)).status).toBe(200);
    await produce(
      service.topics.brokers,
      service.topics.paymentEvents,
      Array.from({ length: 300 }, () => paymentRequested(before.id)),
    );
    await until('messaging reports it', async () => (await service.caller({}).get('/health/messaging')).status === 503);
    await disk.free();

    await until('orders are accepted again', async () => (await place()).status === 201);
    await until('the order has its payment request', async () => {
      const { body } = await ada.get(`/orders/${before.id}`);
      return body.status === 'PAYMENT_PENDING';
    });
    await until('every order is published', async () => (await unpublished()).length === 0);
    await until('messaging is healthy', async () => (await service.caller({}).get('/health/messaging')).status === 200);
    expect(await service.database.sql('select from orders.outbox_parked')).toEqual([]);
    expect(await service.database.sql('select from orders.inbox_parked where dead_at is not null')).toEqual([]);
  });
});

function paymentRequested(orderId: string) {
  const headers = {
    ce_id: uuidv7(),
    ce_source: '/payment-service',
    ce_type: 'PaymentRequested',
    ce_specversion: '1.0',
    ce_dataschema: 'urn:event:PaymentRequested:1',
    'content-type': 'application/json',
  };
  const data = { orderId, paymentRequestId: uuidv7(), expiresAt: '2027-01-01T00:00:00Z' };
  return { key: orderId, value: JSON.stringify(data), headers };
}
