import { randomUUID } from 'node:crypto';
import { adminCases } from '@twinbox/test-support';
import { describeOpenApi } from '@twinbox/test-support/described-api';
import { Webhook } from 'standardwebhooks';
import { anOrder, type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

const OWNER = 'ada';
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const WEBHOOKS = '/webhooks/payments';

describeOpenApi(async () => {
  const service = await startPaymentService({ config: { WEBHOOK_SECRET: SECRET } });
  const requests = await Promise.all([
    service.aRequest({ customerId: OWNER }),
    service.aRequest({ customerId: OWNER }),
    service.aRequest(),
  ]);
  return {
    service,
    schema: 'payments',
    owner: OWNER,
    known: { paymentRequestId: requests.map(({ id }) => id) },
    sign: (path, body) => (path.startsWith(WEBHOOKS) ? signed(body) : {}),
    specialCases: {
      ...specialCasesOf(service),
      ...adminCases({
        service,
        schema: 'payments',
        topic: service.topics.orderEvents,
        event: { type: 'OrderPlaced', version: 2, data: anOrder() },
      }),
    },
    // Needs concurrent requests, a rate limit, overload, a service without a secret, a slow gateway, or messaging that makes no progress.
    notReproducible:
      / (try-again|too-many-requests|overloaded|webhooks-not-configured|refund-under-way)$|\/health.* internal-error$|\/health\/messaging 503$/,
  };
});

function signed(body: string): Record<string, string> {
  const [id, at] = [randomUUID(), new Date()];
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(SECRET).sign(id, at, body),
  };
}

function specialCasesOf(service: PaymentServiceHarness) {
  const operator = service.anOperator();

  async function aRequest() {
    const request = await service.aRequest({ customerId: OWNER });
    return { ...request, path: `/payment-requests/${request.id}` };
  }
  /** A paid payment of a cancelled order, whose gateway is no longer in use. */
  async function aDueRefund() {
    const request = await aRequest();
    await service.database.sql('update payments.payment_requests set gateway = $1 where id = $2', ['gone', request.id]);
    await operator.post(`${request.path}/succeed`);
    await service.receivesCancelled(request);
    await service.untilStatus(request, 'REFUND_PENDING');
    return request;
  }

  return {
    'GET 304': async () => {
      for (const path of ['/payment-requests', (await aRequest()).path]) {
        const { headers } = await operator.get(path);
        await service.anOperator('ops', { 'if-none-match': headers.get('etag')! }).get(path);
      }
    },
    'POST /payment-requests/{paymentRequestId}/succeed 200': async () =>
      operator.post(`${(await aRequest()).path}/succeed`),
    'POST /payment-requests/{paymentRequestId}/succeed payment-already-decided': async () => {
      const { path } = await aRequest();
      await operator.post(`${path}/fail`, { reason: 'card declined' });
      await operator.post(`${path}/succeed`);
    },
    'POST /payment-requests/{paymentRequestId}/fail 200': async () =>
      operator.post(`${(await aRequest()).path}/fail`, { reason: 'card declined' }),
    'POST /payment-requests/{paymentRequestId}/fail payment-already-decided': async () => {
      const { path } = await aRequest();
      await operator.post(`${path}/succeed`);
      await operator.post(`${path}/fail`, { reason: 'card declined' });
    },
    'POST /payment-requests/{paymentRequestId}/fail idempotency-key-reused': async () => {
      const { path } = await aRequest();
      const caller = service.anOperator('ops', { 'idempotency-key': randomUUID() });
      await caller.post(`${path}/fail`, { reason: 'card declined' });
      await caller.post(`${path}/fail`, { reason: 'card stolen' });
    },
    'POST /payment-requests/{paymentRequestId}/refunded 200': async () =>
      operator.post(`${(await aDueRefund()).path}/refunded`),
    'POST /payment-requests/{paymentRequestId}/refunded refund-not-due': async () =>
      operator.post(`${(await aRequest()).path}/refunded`),
    'POST /webhooks/payments webhook-not-genuine': () =>
      service.caller({}).post(WEBHOOKS, { type: 'payment.succeeded' }),
    'POST /webhooks/payments 200': async () => {
      const body = JSON.stringify({ type: 'payment.succeeded', data: { paymentRequestId: (await aRequest()).id } });
      await service.caller(signed(body)).post(WEBHOOKS, body);
    },
  };
}
