import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { MessagingHealth } from '@twinbox/messaging';
import { until } from '@twinbox/messaging/testing';
import { DataSource } from 'typeorm';
import { PaymentRequestStore } from '../src/application/payment-request-store.js';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
let replica: Awaited<ReturnType<PaymentServiceHarness['anotherReplica']>>;
beforeAll(async () => {
  service = await startPaymentService();
  replica = await service.anotherReplica();
});
afterAll(async () => {
  await replica.close();
  await service.stop();
});

const expire = (requests: readonly { readonly id: string }[]) =>
  service.database.sql(`update payments.payment_requests set expires_at = now() where id = any($1)`, [
    requests.map(({ id }) => id),
  ]);

it('an expired request fails and publishes PaymentFailed', async () => {
  const request = await service.aRequest();

  await expire([request]);
  await service.untilStatus(request, 'FAILED');

  const { request: row, messages } = await service.stored(request);
  expect(row).toMatchObject({ reason: 'expired', decided_by: 'system', version: 2 });
  expect(messages).toMatchObject([{ type: 'PaymentFailed', sequence: '2' }]);
  expect(JSON.parse(String(messages[0]!['payload']))).toEqual({
    orderId: request.orderId,
    paymentRequestId: request.id,
    reason: 'expired',
    actor: 'system',
  });
  expect((await service.steps(request)).at(-1)).toMatchObject({
    type: 'PaymentFailed',
    status: 'FAILED',
    actor: 'system',
    cause: 'expiry',
    message_id: messages[0]!['id'],
    detail: { reason: 'expired' },
  });
});

it('P4 with two replicas and more requests due than a batch holds, each request fails once', async () => {
  const requests = await service.someRequests(350);

  await expire(requests);
  await service.untilAll(requests, 'FAILED');

  for (const request of requests) {
    expect(await service.stored(request)).toMatchObject({
      request: { status: 'FAILED', reason: 'expired', version: 2 },
      messages: [{ type: 'PaymentFailed' }],
    });
    expect(await service.steps(request)).toHaveLength(2);
  }
});

it('requests that have not expired or are decided do not change', async () => {
  const [pending, paid, due] = await Promise.all([service.aRequest(), service.aRequest(), service.aRequest()]);
  await service.anOperator().post(`/payment-requests/${paid.id}/succeed`);

  await expire([paid, due]);
  await service.untilStatus(due, 'FAILED');

  expect(await service.stored(pending)).toMatchObject({ request: { status: 'PENDING' }, messages: [] });
  expect(await service.stored(paid)).toMatchObject({ request: { status: 'SUCCEEDED', version: 2 } });
});

it('when a payment succeeds while it expires, exactly one result wins', async () => {
  // One after another they take longer than the polling interval, so some meet the timers.
  const requests = await service.someRequests(300);
  await expire(requests);
  const statuses: number[] = [];
  for (const { id } of requests)
    statuses.push((await service.anOperator().post(`/payment-requests/${id}/succeed`)).status);

  for (const [n, request] of requests.entries()) {
    const won = statuses[n] === 200;
    expect([200, 409]).toContain(statuses[n]);
    expect(await service.stored(request)).toMatchObject({
      request: { status: won ? 'SUCCEEDED' : 'FAILED', version: 2 },
      messages: [{ type: won ? 'PaymentSucceeded' : 'PaymentFailed' }],
    });
  }
});

it('a locked request does not block others', async () => {
  const [locked, other] = [await service.aRequest(), await service.aRequest()];
  const dataSource = service.app.get(DataSource);
  const [writer, holder] = [dataSource.createQueryRunner(), dataSource.createQueryRunner()];
  const byId = [locked.id];
  await writer.startTransaction();
  await writer.query('update payments.payment_requests set expires_at = now() where id = $1', byId);
  await holder.startTransaction();
  const [{ pid }] = (await holder.query('select pg_backend_pid() as pid')) as [{ pid: number }];
  const hold = holder.query('select from payments.payment_requests where id = $1 for update', byId);
  // It queues for the lock before anybody can see that the request is due.
  await until('the holder waits for the lock', async () => {
    const [blocked] = await service.database.sql<{ waits: boolean }>(
      'select cardinality(pg_blocking_pids($1)) > 0 as waits',
      [pid],
    );
    return blocked?.waits;
  });
  await writer.commitTransaction();
  await hold;

  await expire([other]);
  await service.untilStatus(other, 'FAILED');
  expect(await service.stored(locked)).toMatchObject({ request: { status: 'PENDING' } });

  await holder.commitTransaction();
  await Promise.all([writer.release(), holder.release()]);
  await service.untilStatus(locked, 'FAILED');
});

it('P7 with statistics from a time when nothing was due, an expiry reads only its own request', async () => {
  const insertExpiringAt = (time: string) => `
    insert into payments.payment_requests
      (id, order_id, customer_id, amount, currency, gateway, status, version, expires_at, created_at, updated_at)
    select uuidv7(), uuidv7(), 'ada', 900, 'EUR', 'manual', 'PENDING', 1, ${time}, now(), now()
      from generate_series(1, 2000)
    returning id`;
  await service.database.sql(insertExpiringAt(`now() + interval '1 day'`));
  await service.database.sql('analyze payments.payment_requests');
  // Never committed, so the service does not find the requests that are due.
  const runner = service.app.get(DataSource).createQueryRunner();
  await runner.startTransaction();
  const [overdue]: { id: string }[] = await runner.query(insertExpiringAt(`now() - interval '1 day'`));
  const rowsRead = async () => {
    const [row]: { rows: number }[] = await runner.query(`
      select (seq_tup_read + idx_tup_fetch)::int as rows from pg_stat_xact_user_tables
       where relid = 'payments.payment_requests'::regclass`);
    return row!.rows;
  };
  const before = await rowsRead();

  try {
    const due = await service.app.get(PaymentRequestStore).lockIfExpired(runner.manager, overdue!.id);

    expect(due?.request.id).toBe(overdue!.id);
    expect((await rowsRead()) - before).toBeLessThan(5);
  } finally {
    await runner.rollbackTransaction();
    await runner.release();
  }
});

it('P8 a request that is due during a database problem fails afterwards', async () => {
  const request = await service.aRequest();
  await service.database.sql('revoke update on payments.payment_requests from payments');
  await expire([request]);
  const logged = jest.spyOn(Logger.prototype, 'warn');
  await until('both replicas have tried', () => logged.mock.calls.length >= 2);

  expect(await service.stored(request)).toMatchObject({ request: { status: 'PENDING' }, messages: [] });
  await service.database.sql('grant update on payments.payment_requests to payments');

  await service.untilStatus(request, 'FAILED');
  logged.mockRestore();
});

it('P5 requests that cannot expire do not block others, and show in health until they can', async () => {
  const [stuck, ...others] = await service.someRequests(4);
  await service.database.sql(`
    create function payments.refuse() returns trigger language plpgsql as
      $$ begin raise exception 'out of order'; end $$`);
  await service.database.sql(`
    create trigger refuse before update of status on payments.payment_requests
      for each row when (old.reason = 'stuck' or new.id = '${stuck!.id}') execute function payments.refuse()`);
  const health = () => service.app.get(MessagingHealth).check();

  await expire([stuck!]);
  // As many are stuck as a batch holds.
  await service.database.sql(`
    insert into payments.payment_requests
      (id, order_id, customer_id, amount, currency, gateway, status, reason, version, expires_at, created_at, updated_at)
    select uuidv7(), uuidv7(), 'ada', 900, 'EUR', 'manual', 'PENDING', 'stuck', 1, now() - interval '1 day', now(), now()
      from generate_series(1, 99)`);
  await expire(others);
  await service.untilAll(others, 'FAILED');
  await until('health reports it', () => health().components['expiry']?.healthy === false);
  expect(health().components['expiry']).toMatchObject({
    healthy: false,
    problem: expect.stringContaining('out of order'),
  });
  expect(await service.stored(stuck!)).toMatchObject({ request: { status: 'PENDING' } });

  await service.database.sql('drop trigger refuse on payments.payment_requests');
  await service.untilStatus(stuck!, 'FAILED');
  await until('health has recovered', () => health().components['expiry']?.healthy);
});
