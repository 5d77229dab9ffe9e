import { DeadJobs, PermanentError } from '@twinbox/messaging';
import { until } from '@twinbox/messaging/testing';
import { expectProblem } from '@twinbox/test-support';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { SimulatedGateway } from '../src/adapters/gateway/simulated-gateway.js';
import { CancelPayment } from '../src/application/cancel-payment.js';
import { ExpirePayments } from '../src/application/expire-payments.js';
import { CreatePaymentRequest } from '../src/application/create-payment-request.js';
import { type ChargeResult, PaymentGateway } from '../src/application/payment-gateway.js';
import { type PaymentRequest } from '../src/domain/payment-request.js';
import { anOrder, type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

/** A provider that keeps books by key, as real ones do, and answers a repeated call from them. Tests decide what happens around a call. */
class BookkeepingGateway extends PaymentGateway {
  override readonly name = 'books';
  override readonly automatic = true;
  readonly charged = new Map<string, number>();
  readonly refunded = new Map<string, number>();
  readonly calls: string[] = [];
  before: (key: string) => Promise<void> | void = () => {};
  after: (key: string, call: number) => Promise<void> | void = () => {};
  answer: ChargeResult = { status: 'SUCCEEDED' };

  override async charge({ amount }: PaymentRequest, key: string): Promise<ChargeResult> {
    await this.book(this.charged, key, amount);
    return this.answer;
  }

  override async refund({ amount }: PaymentRequest, key: string): Promise<void> {
    await this.book(this.refunded, key, amount);
  }

  private async book(books: Map<string, number>, key: string, amount: number): Promise<void> {
    this.calls.push(key);
    const call = this.callsOf(key);
    await this.before(key);
    books.set(key, amount);
    await this.after(key, call);
  }

  callsOf(key: string): number {
    return this.calls.filter((each) => each === key).length;
  }
}

let gateway: BookkeepingGateway;
let service: PaymentServiceHarness;
let gatewayName = 'books';
/** The service has one gateway for all tests, but each test has its own books. */
class CurrentGateway extends PaymentGateway {
  override readonly automatic = true;
  override get name() {
    return gatewayName;
  }
  override charge(...call: Parameters<PaymentGateway['charge']>) {
    return gateway.charge(call[0], call[1]);
  }
  override refund(...call: Parameters<PaymentGateway['refund']>) {
    return gateway.refund(call[0], call[1]);
  }
}

beforeAll(async () => {
  service = await startPaymentService({ gateway: new CurrentGateway() });
});
beforeEach(() => {
  gateway = new BookkeepingGateway();
  gatewayName = 'books';
});
afterAll(() => service.stop());

const untilDone = () =>
  until(
    'every call is made',
    async () => (await service.database.sql('select from payments.jobs where dead_at is null')).length === 0,
  );

/** As if the process making the call had died and its lease expired: any live process takes the job. */
async function leasesRunOut(): Promise<void> {
  await service.database.sql(`update payments.jobs set run_at = now() where dead_at is null`);
}

const untilAnotherWaits = () =>
  until(
    'another transaction waits',
    async () =>
      (
        await service.database.sql(
          `select from pg_locks where locktype = 'advisory' and not granted
              and database = (select oid from pg_database where datname = current_database())`,
        )
      ).length > 0,
  );

const requestsOf = ({ orderId }: { readonly orderId: string }) =>
  service.database.sql('select * from payments.payment_requests where order_id = $1', [orderId]);

const never = () => new Promise<void>(() => {});

/** Creates a request whose charge does not start until `leasesRunOut` is called. */
async function aRequestOnHold() {
  const placed = anOrder();
  await service.app.get(DataSource).transaction(async (tx) => {
    await service.app.get(CreatePaymentRequest).execute(tx, placed, uuidv7());
    await tx.query(`update payments.jobs set run_at = now() + interval '1 hour'`);
  });
  const [row] = await service.database.sql<{ id: string }>(
    'select id from payments.payment_requests where order_id = $1',
    [placed.orderId],
  );
  return { ...placed, id: row!.id };
}

describe('an automatic charge', () => {
  it('P1 succeeds, and commits its result, message and step together', async () => {
    const request = await service.aRequest();

    await service.untilStatus(request, 'SUCCEEDED');
    await untilDone();

    expect([...gateway.charged]).toEqual([[request.id, 900]]);
    const { request: row, messages } = await service.stored(request);
    expect(row).toMatchObject({ decided_by: 'gateway', version: 2 });
    expect(messages).toMatchObject([{ type: 'PaymentSucceeded' }]);
    expect(JSON.parse(String(messages[0]!['payload']))).toMatchObject({ actor: 'gateway' });
    expect((await service.steps(request)).at(-1)).toMatchObject({
      type: 'PaymentSucceeded',
      actor: 'gateway',
      cause: 'charge',
      message_id: messages[0]!['id'],
    });
  });

  it('fails with the reason that the gateway gives', async () => {
    gateway.answer = { status: 'FAILED', reason: 'insufficient funds' };

    const request = await service.aRequest();
    await service.untilStatus(request, 'FAILED');

    expect(await service.stored(request)).toMatchObject({
      request: { reason: 'insufficient funds', decided_by: 'gateway' },
      messages: [{ type: 'PaymentFailed' }],
    });
  });

  it('waits when the result is reported elsewhere', async () => {
    gateway.answer = { status: 'PENDING' };

    const request = await service.aRequest();
    await untilDone();

    expect(await service.stored(request)).toMatchObject({ request: { status: 'PENDING' }, messages: [] });
    expect((await service.anOperator().post(`/payment-requests/${request.id}/succeed`)).status).toBe(200);
  });

  it('P4 is made once per request, with many at the same time', async () => {
    const requests = await service.someRequests(120);

    await service.untilAll(requests, 'SUCCEEDED');
    await untilDone();

    expect(gateway.calls.toSorted()).toEqual(requests.map(({ id }) => id).toSorted());
    for (const request of requests) expect((await service.stored(request)).messages).toHaveLength(1);
  });
});

it('a locked request does not delay others', async () => {
  const arrived = Promise.withResolvers<void>();
  gateway.before = () => arrived.promise;
  const [locked, ...others] = await service.someRequests(6);
  await until('all charges are sent', () => gateway.calls.length === 6);
  const holder = service.app.get(DataSource).createQueryRunner();
  await holder.startTransaction();
  await holder.query('select from payments.payment_requests where id = $1 for update', [locked!.id]);

  arrived.resolve();
  await service.untilAll(others, 'SUCCEEDED');
  expect(await service.stored(locked!)).toMatchObject({ request: { status: 'PENDING' } });

  await holder.commitTransaction();
  await holder.release();
  await service.untilStatus(locked!, 'SUCCEEDED');
  await untilDone();
});

describe('money is never lost', () => {
  it('P2 a process dies after the charge, before recording it: it is charged again with the same key', async () => {
    gateway.after = (_, call) => (call === 1 ? never() : undefined);
    const request = await service.aRequest();
    await until('the money is taken', () => gateway.charged.has(request.id));
    expect((await service.stored(request)).messages).toEqual([]);

    await leasesRunOut();
    await service.untilStatus(request, 'SUCCEEDED');
    await untilDone();

    expect(gateway.calls).toEqual([request.id, request.id]);
    expect([...gateway.charged]).toEqual([[request.id, 900]]);
    expect((await service.stored(request)).messages).toMatchObject([{ type: 'PaymentSucceeded' }]);
  });

  it('P1 a result that cannot be recorded is charged again with the same key until it can', async () => {
    gateway.after = async (_, call) => {
      const right = call === 1 ? 'revoke insert on payments.outbox from' : 'grant insert on payments.outbox to';
      await service.database.sql(`${right} payments`);
    };

    const request = await service.aRequest();
    await service.untilStatus(request, 'SUCCEEDED');
    await untilDone();

    expect(gateway.calls).toEqual([request.id, request.id]);
    expect([...gateway.charged]).toEqual([[request.id, 900]]);
    expect((await service.stored(request)).messages).toMatchObject([{ type: 'PaymentSucceeded' }]);
  });

  it('P4 a process dies after recording the result, before removing the job: nothing new is published', async () => {
    const request = await service.aRequest();
    await service.untilStatus(request, 'SUCCEEDED');
    await untilDone();
    const before = [await service.stored(request), await service.steps(request)];

    await service.database.sql(`insert into payments.jobs (id, queue, data, run_at) values ($1, 'charge', $2, now())`, [
      request.id,
      JSON.stringify({ paymentRequestId: request.id, gateway: 'books' }),
    ]);
    await until('it is charged again', () => gateway.callsOf(request.id) === 2);
    await untilDone();

    expect([await service.stored(request), await service.steps(request)]).toEqual(before);
  });

  it('P2 an order cancelled during its charge is refunded', async () => {
    const arrived = Promise.withResolvers<void>();
    gateway.before = (key) => (key.endsWith('-refund') ? undefined : arrived.promise);
    const request = await service.aRequest();
    await until('the charge is sent', () => gateway.callsOf(request.id) === 1);

    await service.receivesCancelled(request);
    await service.untilStatus(request, 'CANCELLED');
    arrived.resolve();
    await service.untilStatus(request, 'REFUNDED');

    expect([...gateway.refunded]).toEqual([[`${request.id}-refund`, 900]]);
    const { messages } = await service.stored(request);
    // Only the refund is published, not that the money arrived for a cancelled order.
    expect(messages.map(({ type }) => type)).toEqual(['PaymentCancelled', 'PaymentRefunded']);
    expect((await service.steps(request)).slice(-2)).toMatchObject([
      {
        type: 'LatePaymentReceived',
        status: 'REFUND_PENDING',
        actor: 'gateway',
        message_id: null,
        detail: { reason: 'The money arrived when the payment was CANCELLED.' },
      },
      { type: 'PaymentRefunded', status: 'REFUNDED' },
    ]);
  });

  it('P2 an order is cancelled while its charge has an unknown outcome: repeating the charge settles it', async () => {
    gateway.after = (key, call) => {
      if (key.endsWith('-refund') || call > 1) return;
      throw new Error('the answer was lost');
    };
    const request = await service.aRequest();
    await until('the money is taken', () => gateway.charged.has(request.id));

    await service.receivesCancelled(request);
    await service.untilStatus(request, 'REFUNDED');

    expect(gateway.callsOf(request.id)).toBe(2);
    expect([...gateway.charged.keys()]).toEqual([request.id]);
    expect([...gateway.refunded.keys()]).toEqual([`${request.id}-refund`]);
  });

  it('P2 a process dies after the refund, before recording it: it is refunded again with the same key', async () => {
    const request = await service.aRequest();
    await service.untilStatus(request, 'SUCCEEDED');
    gateway.after = (_, call) => (call === 1 ? never() : undefined);

    await service.receivesCancelled(request);
    await until('the money is back', () => gateway.refunded.size === 1);
    await leasesRunOut();
    await service.untilStatus(request, 'REFUNDED');
    await untilDone();

    expect(gateway.callsOf(`${request.id}-refund`)).toBe(2);
    expect([...gateway.refunded.keys()]).toEqual([`${request.id}-refund`]);
    const types = (await service.stored(request)).messages.map(({ type }) => type);
    expect(types).toEqual(['PaymentSucceeded', 'PaymentRefunded']);
  });

  it('P8 a call is made once an unavailable gateway is back', async () => {
    gateway.before = () => {
      if (gateway.calls.length < 3) throw new Error('connect ECONNREFUSED');
    };

    const request = await service.aRequest();
    await service.untilStatus(request, 'SUCCEEDED');

    expect(gateway.calls).toEqual([request.id, request.id, request.id]);
  });
});

describe('no charge is made', () => {
  it('when the order was cancelled first', async () => {
    const request = await aRequestOnHold();
    await service.receivesCancelled(request);

    await leasesRunOut();
    await untilDone();

    expect(gateway.calls).toEqual([]);
    expect(await service.stored(request)).toMatchObject({ request: { status: 'CANCELLED', charge_sent_at: null } });
  });

  it('when an operator has decided the payment first', async () => {
    const request = await aRequestOnHold();
    await service.anOperator().post(`/payment-requests/${request.id}/succeed`);

    await leasesRunOut();
    await untilDone();

    expect(gateway.calls).toEqual([]);
  });

  it('when the cancellation arrives while the payment request is not yet committed', async () => {
    const placed = anOrder();
    let processed: Promise<unknown> | undefined;
    await service.app.get(DataSource).transaction(async (tx) => {
      await service.app.get(CreatePaymentRequest).execute(tx, placed, uuidv7());
      await tx.query(`update payments.jobs set run_at = now() + interval '1 hour'`);
      processed = service.receivesCancelled(placed);
      await untilAnotherWaits();
    });
    await processed;

    await leasesRunOut();
    await untilDone();

    expect(gateway.calls).toEqual([]);
    expect(await requestsOf(placed)).toMatchObject([{ status: 'CANCELLED', charge_sent_at: null }]);
  });

  it('when the payment is requested while the cancellation is not yet committed', async () => {
    const placed = anOrder();
    const cancelled = { orderId: placed.orderId, customerId: placed.customerId, reason: 'ordered twice', actor: 'ada' };
    const dataSource = service.app.get(DataSource);
    let requested: Promise<unknown> | undefined;
    await dataSource.transaction(async (tx) => {
      await service.app.get(CancelPayment).execute(tx, cancelled, uuidv7());
      requested = dataSource.transaction((other) =>
        service.app.get(CreatePaymentRequest).execute(other, placed, uuidv7()),
      );
      await untilAnotherWaits();
    });
    await requested;
    await untilDone();

    expect(gateway.calls).toEqual([]);
    expect(await requestsOf(placed)).toMatchObject([{ status: 'CANCELLED', charge_sent_at: null }]);
  });

  it('when the request expired first', async () => {
    const request = await aRequestOnHold();
    await service.database.sql('update payments.payment_requests set expires_at = now() where id = $1', [request.id]);
    await service.untilStatus(request, 'FAILED');

    await leasesRunOut();
    await untilDone();

    expect(gateway.calls).toEqual([]);
  });
});

describe('a refund by hand', () => {
  const confirmRefund = ({ id }: { readonly id: string }) =>
    service.anOperator().post(`/payment-requests/${id}/refunded`);

  it('is rejected while the gateway makes the refund, because the customer would be refunded twice', async () => {
    const request = await service.aRequest();
    await service.untilStatus(request, 'SUCCEEDED');
    const gate = Promise.withResolvers<void>();
    gateway.before = (key) => (key.endsWith('-refund') ? gate.promise : undefined);
    await service.receivesCancelled(request);
    await until('the refund is under way', () => gateway.calls.includes(`${request.id}-refund`));

    const answer = await confirmRefund(request);
    gate.resolve();
    await service.untilStatus(request, 'REFUNDED');

    expectProblem(answer, 409, 'refund-under-way', { gateway: 'books' });
    expect((await confirmRefund(request)).status).toBe(200);
    expect([...gateway.refunded.keys()]).toEqual([`${request.id}-refund`]);
    expect((await service.steps(request)).filter(({ type }) => type === 'PaymentRefunded')).toHaveLength(1);
  });

  it('P4 is rejected while a process with a replaced gateway still makes the refund', async () => {
    const request = await service.aRequest();
    await service.untilStatus(request, 'SUCCEEDED');
    const gate = Promise.withResolvers<void>();
    gateway.before = (key) => (key.endsWith('-refund') ? gate.promise : undefined);
    await service.receivesCancelled(request);
    await until('the refund is under way', () => gateway.calls.includes(`${request.id}-refund`));

    gatewayName = 'other';
    const answer = await confirmRefund(request);
    gatewayName = 'books';
    gate.resolve();
    await service.untilStatus(request, 'REFUNDED');

    expectProblem(answer, 409, 'refund-under-way', { gateway: 'books' });
    expect((await service.steps(request)).filter(({ type }) => type === 'PaymentRefunded')).toHaveLength(1);
  });

  it('P4 keeps a process with a replaced gateway from starting the refund meanwhile', async () => {
    const request = await service.aRequest();
    await service.untilStatus(request, 'SUCCEEDED');
    gateway.before = (key) => {
      if (key.endsWith('-refund')) throw new Error('connect ECONNREFUSED');
    };
    await service.receivesCancelled(request);
    await until('the refund has failed', () => gateway.calls.includes(`${request.id}-refund`));
    gateway.before = () => {};

    gatewayName = 'other';
    expect((await confirmRefund(request)).status).toBe(200);
    gatewayName = 'books';
    await leasesRunOut();
    await untilDone();

    expect(gateway.refunded.size).toBe(0);
    expect((await service.steps(request)).filter(({ type }) => type === 'PaymentRefunded')).toHaveLength(1);
  });

  it('is accepted once the gateway has given up', async () => {
    const request = await service.aRequest();
    await service.untilStatus(request, 'SUCCEEDED');
    gateway.before = (key) => {
      if (key.endsWith('-refund')) throw new PermanentError('the account is closed');
    };
    await service.receivesCancelled(request);
    await until('the refund is given up', async () =>
      (await service.steps(request)).some(({ type }) => type === 'RefundGivenUp'),
    );

    expect(await confirmRefund(request)).toMatchObject({ status: 200, body: { status: 'REFUNDED' } });
  });
});

describe('switching gateways loses no money', () => {
  const jobOf = async ({ id }: { readonly id: string }) => {
    const [job] = await service.database.sql<{ id: string; attempts: number; error: string | null; dead_at: unknown }>(
      `select id, attempts, error, dead_at from payments.jobs where data->>'paymentRequestId' = $1`,
      [id],
    );
    return job;
  };
  const untilRefused = (request: { readonly id: string }) =>
    until('the other gateway rejects the job', async () => {
      const error = (await jobOf(request))?.error ?? '';
      return error.includes('belongs to the gateway books, but other is in use here') && error;
    });

  it('P2 a charge waits for its own gateway', async () => {
    const request = await aRequestOnHold();
    gatewayName = 'other';

    await leasesRunOut();
    await untilRefused(request);
    expect(gateway.calls).toEqual([]);
    expect(await service.stored(request)).toMatchObject({ request: { status: 'PENDING', charge_sent_at: null } });

    gatewayName = 'books';
    await leasesRunOut();
    await service.untilStatus(request, 'SUCCEEDED');
    expect(gateway.calls).toEqual([request.id]);
  });

  it('an unsent charge of a cancelled request is dropped', async () => {
    const request = await aRequestOnHold();
    gatewayName = 'other';
    await service.receivesCancelled(request);

    await leasesRunOut();
    await until('the job is done', async () => (await jobOf(request)) === undefined);

    expect(gateway.calls).toEqual([]);
    expect((await service.steps(request)).map(({ type }) => type)).toEqual(['PaymentRequested', 'PaymentCancelled']);
  });

  it('P2 a charge whose answer was lost is repeated, and its money refunded', async () => {
    gateway.after = (key, call) => {
      if (key.endsWith('-refund') || call > 1) return;
      gatewayName = 'other';
      throw new Error('the answer was lost');
    };
    const request = await service.aRequest();
    await until('the money is taken', () => gateway.charged.has(request.id));
    await service.receivesCancelled(request);
    await untilRefused(request);
    expect(await service.stored(request)).toMatchObject({ request: { status: 'CANCELLED' } });

    gatewayName = 'books';
    await leasesRunOut();
    await service.untilStatus(request, 'REFUNDED');

    expect([...gateway.charged.keys()]).toEqual([request.id]);
    expect([...gateway.refunded.keys()]).toEqual([`${request.id}-refund`]);
  });

  it('P2 a refund is made by the gateway that took the money, whichever is in use at the cancellation', async () => {
    const request = await service.aRequest();
    await service.untilStatus(request, 'SUCCEEDED');
    await untilDone();
    gatewayName = 'other';

    await service.receivesCancelled(request);
    await untilRefused(request);
    expect(gateway.refunded.size).toBe(0);
    expect(await service.stored(request)).toMatchObject({ request: { status: 'REFUND_PENDING' } });

    gatewayName = 'books';
    await leasesRunOut();
    await service.untilStatus(request, 'REFUNDED');
    expect([...gateway.refunded]).toEqual([[`${request.id}-refund`, 900]]);
  });

  it('P9 a gateway that stays away leaves a step, and a job that an operator can retry', async () => {
    const request = await aRequestOnHold();
    gatewayName = 'other';
    await service.database.sql(
      `update payments.jobs set attempts = 199, run_at = now() where data->>'paymentRequestId' = $1`,
      [request.id],
    );
    const job = await until('the job is dead', async () => {
      const found = await jobOf(request);
      return found?.dead_at ? found : undefined;
    });
    expect((await service.steps(request)).at(-1)).toMatchObject({ type: 'ChargeGivenUp', detail: { jobId: job.id } });
    expect(gateway.calls).toEqual([]);

    gatewayName = 'books';
    await service.app.get(DeadJobs).retry([job.id], { actor: 'ops' });
    await service.untilStatus(request, 'SUCCEEDED');
  });
});

it('a gateway’s reason is truncated to the column and stored whatever it contains', async () => {
  gateway.answer = { status: 'FAILED', reason: `a\0b\ud800${'😀'.repeat(600)}` };

  const request = await service.aRequest();
  await service.untilStatus(request, 'FAILED');

  const reason = `a b\ufffd${'😀'.repeat(496)}`;
  const { request: row, messages } = await service.stored(request);
  expect(row).toMatchObject({ reason });
  expect(JSON.parse(String(messages[0]!['payload']))).toMatchObject({ reason });
});

it('an operator’s success during a charge does not count as a second payment', async () => {
  const arrived = Promise.withResolvers<void>();
  gateway.before = () => arrived.promise;
  const request = await service.aRequest();
  await until('the charge is sent', () => gateway.callsOf(request.id) === 1);

  await service.anOperator('olga').post(`/payment-requests/${request.id}/succeed`);
  arrived.resolve();
  await untilDone();

  expect(await service.stored(request)).toMatchObject({
    request: { status: 'SUCCEEDED', decided_by: 'olga' },
    messages: [{ type: 'PaymentSucceeded' }],
  });
  expect((await service.steps(request)).at(-1)).toMatchObject({
    type: 'MessagePassedOver',
    actor: 'gateway',
    detail: { type: 'charge', reason: 'The payment was SUCCEEDED.' },
  });
});

describe('a call that is given up', () => {
  const aDeadJobOf = ({ id }: { readonly id: string }) =>
    until('the job is dead', async () => {
      const [job] = await service.database.sql<{ id: string; error: string }>(
        `select id, error from payments.jobs where dead_at is not null and data->>'paymentRequestId' = $1`,
        [id],
      );
      return job;
    });

  it('adds a step; the request expires, and money found later is refunded', async () => {
    gateway.after = () => {
      throw new PermanentError('the account is closed');
    };
    const request = await service.aRequest();
    const job = await aDeadJobOf(request);
    expect((await service.steps(request)).at(-1)).toMatchObject({
      type: 'ChargeGivenUp',
      status: 'PENDING',
      actor: 'system',
      cause: 'charge',
      detail: { jobId: job.id },
    });
    // The customer must not see what went wrong.
    expect(JSON.stringify(await service.steps(request))).not.toContain('account');
    const path = `/payment-requests/${request.id}/timeline`;
    const { body: ofCustomer } = await service.caller({ 'x-user-id': request.customerId }).get(path);
    expect(ofCustomer.items.at(-1)).toMatchObject({ type: 'ChargeGivenUp', detail: null });
    const { body: ofOperator } = await service.anOperator().get(path);
    expect(ofOperator.items.at(-1)).toMatchObject({ type: 'ChargeGivenUp', detail: { jobId: job.id } });

    await service.database.sql('update payments.payment_requests set expires_at = now() where id = $1', [request.id]);
    await service.untilStatus(request, 'FAILED');
    gateway.after = () => {};
    await service.app.get(DeadJobs).retry([job.id], { actor: 'ops' });
    await service.untilStatus(request, 'REFUNDED');

    expect([...gateway.refunded.keys()]).toEqual([`${request.id}-refund`]);
  });

  it('adds a step for a refund, which succeeds when an operator retries it', async () => {
    const request = await service.aRequest();
    await service.untilStatus(request, 'SUCCEEDED');
    gateway.before = () => {
      throw new PermanentError('refunds are closed');
    };
    await service.receivesCancelled(request);
    const job = await aDeadJobOf(request);
    expect((await service.steps(request)).at(-1)).toMatchObject({ type: 'RefundGivenUp', status: 'REFUND_PENDING' });

    gateway.before = () => {};
    await service.app.get(DeadJobs).retry([job.id], { actor: 'ops' });

    await service.untilStatus(request, 'REFUNDED');
  });

  it('is a refund that was not due', async () => {
    const request = await service.aRequest();
    await service.untilStatus(request, 'SUCCEEDED');

    await service.database.sql(
      `insert into payments.jobs (id, queue, data, run_at) values (gen_random_uuid(), 'refund', $1, now())`,
      [JSON.stringify({ paymentRequestId: request.id, gateway: 'books' })],
    );
    const job = await aDeadJobOf(request);

    expect(job.error).toContain('no refund is due');
    expect(gateway.refunded.size).toBe(0);
    expect(await service.stored(request)).toMatchObject({ request: { status: 'SUCCEEDED' } });
  });
});

it('with several replicas and cancellations, each payment ends like its order, and the books agree', async () => {
  gateway.after = async (_, call) => {
    // Every fifth answer is lost.
    if (call === 1 && gateway.calls.length % 5 === 0) throw new Error('the answer was lost');
  };
  const replica = await service.anotherReplica();
  const requests = await service.someRequests(60);
  const cancelled = requests.filter((_, n) => n % 3 === 0);

  for (const request of cancelled) await service.receivesCancelled(request);
  await untilDone();

  for (const request of requests) {
    const { request: row } = await service.stored(request);
    const [taken, back] = [gateway.charged.has(request.id), gateway.refunded.has(`${request.id}-refund`)];
    if (!cancelled.includes(request)) expect(row).toMatchObject({ status: 'SUCCEEDED' });
    else expect(['CANCELLED', 'REFUNDED']).toContain(row!['status']);
    expect(taken && !back).toBe(row!['status'] === 'SUCCEEDED');
    expect(back).toBe(row!['status'] === 'REFUNDED');
  }
  await replica.close();
});

it('the simulated gateway settles each payment once, as its seed determines', async () => {
  const simulated = new SimulatedGateway({ delayMs: 5, failureRate: 0.5, seed: 'test' });
  const own = await startPaymentService({
    config: { PAYMENT_GATEWAY: 'simulated', SIMULATED_DELAY: 5, SIMULATED_FAILURE_RATE: 0.5, SIMULATED_SEED: 'test' },
  });
  const requests = await own.someRequests(30);

  for (const request of requests) {
    const expected = await simulated.charge({} as never, request.id, new AbortController().signal);
    await own.untilStatus(request, expected.status);
    expect((await own.stored(request)).messages).toHaveLength(1);
  }
  await own.stop();
});

it('expiry ignores decided requests', async () => {
  const request = await service.aRequest();
  await service.untilStatus(request, 'SUCCEEDED');
  await service.database.sql('update payments.payment_requests set expires_at = now() where id = $1', [request.id]);

  const expired = await service.app
    .get(DataSource)
    .transaction((tx) => service.app.get(ExpirePayments).execute(tx, 100));

  expect(expired).toBe(0);
  expect(await service.stored(request)).toMatchObject({ request: { status: 'SUCCEEDED' } });
});
