import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { GrpcEdge } from '@twinbox/api-kit';
import {
  type ListPaymentRequestsRequest,
  PaymentRequestServiceService as Payments,
} from '@twinbox/contracts/grpc/payments';
import { GrpcTestClient } from '@twinbox/test-support';
import { goTool, runsGo } from '@twinbox/tools';
import { v7 as uuidv7 } from 'uuid';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
let client: GrpcTestClient;

beforeAll(async () => {
  service = await startPaymentService({ env: { GRPC_PORT: '0' } });
  client = GrpcTestClient.of(service);
});
afterAll(async () => {
  client.close();
  await service.stop();
});

const OPERATOR = { 'x-user-id': 'olga', 'x-roles': 'operator' };
const asCustomer = ({ customerId }: { readonly customerId: string }) => ({ 'x-user-id': customerId });

const aList = (fields: Partial<ListPaymentRequestsRequest> = {}): ListPaymentRequestsRequest => ({
  pageSize: 0,
  pageToken: '',
  sort: 'PAYMENT_SORT_UNSPECIFIED',
  statuses: [],
  createdFrom: undefined,
  createdTo: undefined,
  ...fields,
});

/** A paid payment of a cancelled order, whose gateway is no longer in use. */
async function aRefundThatIsDue() {
  const request = await service.aRequest();
  await service.database.sql(`update payments.payment_requests set gateway = 'gone' where id = $1`, [request.id]);
  await client.call(Payments.markPaymentSucceeded, { paymentRequestId: request.id }, { headers: OPERATOR });
  await service.receivesCancelled(request);
  await service.untilStatus(request, 'REFUND_PENDING');
  return request;
}

describe('a payment request', () => {
  it('is the same by gRPC as by REST, with the same ETag', async () => {
    const request = await service.aRequest({ total: Number.MAX_SAFE_INTEGER });
    const paymentRequestId = request.id;

    const rest = await service.anOperator().get(`/payment-requests/${request.id}`);
    const all = await client.call(Payments.getPaymentRequest, { paymentRequestId }, { headers: OPERATOR });
    const own = await client.call(Payments.getPaymentRequest, { paymentRequestId }, { headers: asCustomer(request) });

    expect(all.response?.paymentRequest).toEqual({
      id: request.id,
      orderId: request.orderId,
      customerId: request.customerId,
      amount: { minorUnits: Number.MAX_SAFE_INTEGER, currency: 'EUR' },
      gateway: 'manual',
      status: 'PAYMENT_STATUS_PENDING',
      reason: undefined,
      decidedBy: undefined,
      version: 1,
      expiresAt: new Date(rest.body.expiresAt),
      createdAt: new Date(rest.body.createdAt),
      updatedAt: new Date(rest.body.updatedAt),
    });
    expect(all.metadata).toMatchObject({ etag: rest.headers.get('etag') });
    expect(own.response?.paymentRequest).toEqual({ ...all.response?.paymentRequest, gateway: undefined });
    expect(own.metadata).toMatchObject({ etag: '"1-customer"' });
  });

  it.each([Payments.markPaymentSucceeded, Payments.markPaymentRefunded, Payments.getPaymentRequest])(
    'is not found if there is none: $path',
    async (method) => {
      const unknown = { paymentRequestId: uuidv7() };
      const invalid = { paymentRequestId: 'x' };

      expect(await client.call(method, unknown, { headers: OPERATOR })).toMatchObject({
        status: 'NOT_FOUND',
        reason: 'payment-request-not-found',
        facts: unknown,
      });
      expect(await client.call(method, invalid, { headers: OPERATOR })).toMatchObject({
        status: 'INVALID_ARGUMENT',
        reason: 'validation',
        fields: ['payment_request_id'],
      });
    },
  );
});

describe('the result of a payment', () => {
  it('P1 is recorded with its message and its step, which name the operator and the method', async () => {
    const [paid, declined] = [await service.aRequest(), await service.aRequest()];
    const failure = { paymentRequestId: declined.id, reason: 'card declined' };

    const succeeded = await client.call(
      Payments.markPaymentSucceeded,
      { paymentRequestId: paid.id },
      { headers: OPERATOR },
    );
    const failed = await client.call(Payments.markPaymentFailed, failure, { headers: OPERATOR });

    expect(succeeded.response?.paymentRequest).toMatchObject({
      status: 'PAYMENT_STATUS_SUCCEEDED',
      decidedBy: 'olga',
      version: 2,
    });
    expect(succeeded.metadata).toMatchObject({ etag: '"2"' });
    expect(failed.response?.paymentRequest).toMatchObject({ status: 'PAYMENT_STATUS_FAILED', reason: 'card declined' });
    expect((await service.stored(paid)).messages).toMatchObject([{ type: 'PaymentSucceeded' }]);
    expect((await service.stored(declined)).messages).toMatchObject([{ type: 'PaymentFailed' }]);
    expect((await service.steps(declined)).at(-1)).toMatchObject({
      actor: 'operator:olga',
      cause: 'gRPC /twinbox.payments.v1.PaymentRequestService/MarkPaymentFailed',
    });
  });

  it('P4 can be reported again, but not be changed', async () => {
    const request = await service.aRequest();
    const paymentRequestId = request.id;
    const first = await client.call(Payments.markPaymentSucceeded, { paymentRequestId }, { headers: OPERATOR });

    const again = await client.call(Payments.markPaymentSucceeded, { paymentRequestId }, { headers: OPERATOR });
    const other = await client.call(
      Payments.markPaymentFailed,
      { paymentRequestId, reason: 'no' },
      { headers: OPERATOR },
    );
    const refunded = await client.call(Payments.markPaymentRefunded, { paymentRequestId }, { headers: OPERATOR });

    expect(again.response).toEqual(first.response);
    expect(other).toMatchObject({
      status: 'FAILED_PRECONDITION',
      reason: 'payment-already-decided',
      facts: { actual: 'SUCCEEDED' },
    });
    expect(refunded).toMatchObject({ status: 'FAILED_PRECONDITION', reason: 'refund-not-due' });
    expect((await service.stored(request)).messages).toHaveLength(1);
  });

  it('P4 is reported once with an idempotency key, which belongs to one request', async () => {
    const [request, another] = [await service.aRequest(), await service.aRequest()];
    const headers = { ...OPERATOR, 'idempotency-key': randomUUID() };
    const failure = { paymentRequestId: request.id, reason: 'declined' };
    const first = await client.call(Payments.markPaymentFailed, failure, { headers });
    await service.receivesCancelled(request);

    const again = await client.call(Payments.markPaymentFailed, failure, { headers });
    const other = await client.call(
      Payments.markPaymentFailed,
      { ...failure, paymentRequestId: another.id },
      { headers },
    );

    expect(again.response).toEqual(first.response);
    expect(again.metadata).toMatchObject({ 'idempotent-replayed': 'true', etag: '"2"' });
    expect(first.metadata).not.toHaveProperty('idempotent-replayed');
    expect(other).toMatchObject({ status: 'FAILED_PRECONDITION', reason: 'idempotency-key-reused' });
    expect((await service.stored(another)).messages).toEqual([]);
  });

  it('is rejected if if-match names another version', async () => {
    const request = await service.aRequest();
    const paymentRequestId = request.id;
    const at = (etag: string) => ({ headers: { ...OPERATOR, 'if-match': etag } });

    const stale = await client.call(Payments.markPaymentSucceeded, { paymentRequestId }, at('"2"'));
    const malformed = await client.call(Payments.markPaymentSucceeded, { paymentRequestId }, at('1'));
    const current = await client.call(Payments.markPaymentSucceeded, { paymentRequestId }, at('"1"'));
    const refund = await client.call(Payments.markPaymentRefunded, { paymentRequestId }, at('"1"'));

    expect(stale).toMatchObject({
      status: 'ABORTED',
      reason: 'version-conflict',
      facts: { expected: '2', actual: '1' },
    });
    expect(malformed).toMatchObject({ status: 'INVALID_ARGUMENT', reason: 'validation' });
    expect(current).toMatchObject({ status: 'OK', metadata: { etag: '"2"' } });
    expect(refund).toMatchObject({ status: 'ABORTED', reason: 'version-conflict' });
  });

  it.each(['', ' ', 'x'.repeat(401)])('is rejected with an invalid reason: %j', async (reason) => {
    const request = await service.aRequest();

    const failure = { paymentRequestId: request.id, reason };
    const answer = await client.call(Payments.markPaymentFailed, failure, { headers: OPERATOR });

    expect(answer).toMatchObject({ status: 'INVALID_ARGUMENT', reason: 'validation', fields: ['reason'] });
    expect((await service.stored(request)).messages).toEqual([]);
  });
});

it('P4 a refund made by hand can be confirmed again', async () => {
  const { id: paymentRequestId } = await aRefundThatIsDue();

  const first = await client.call(Payments.markPaymentRefunded, { paymentRequestId }, { headers: OPERATOR });
  const again = await client.call(Payments.markPaymentRefunded, { paymentRequestId }, { headers: OPERATOR });

  expect(first.response?.paymentRequest).toMatchObject({ status: 'PAYMENT_STATUS_REFUNDED', version: 4 });
  expect(again.response).toEqual(first.response);
});

describe('a list of payment requests', () => {
  it('has the filters, sorts and pages of REST', async () => {
    const customerId = `customer ${randomUUID()}`;
    const headers = asCustomer({ customerId });
    const requests = [];
    for (const total of [300, 100, 200]) requests.push(await service.aRequest({ customerId, total }));
    const [first, second, third] = requests;
    await client.call(Payments.markPaymentSucceeded, { paymentRequestId: second!.id }, { headers: OPERATOR });
    const listed = async (fields: Partial<ListPaymentRequestsRequest>, as: Record<string, string> = headers) => {
      const { response } = await client.call(Payments.listPaymentRequests, aList(fields), { headers: as });
      return response?.paymentRequests.map(({ id }) => id);
    };

    const page = await client.call(Payments.listPaymentRequests, aList({ pageSize: 2 }), { headers });
    const pageToken = page.response?.nextPageToken ?? '';
    const last = await client.call(Payments.listPaymentRequests, aList({ pageSize: 2, pageToken }), { headers });

    expect(page.response?.paymentRequests.map(({ id }) => id)).toEqual([third!.id, second!.id]);
    expect(last.response).toMatchObject({ paymentRequests: [{ id: first!.id }], nextPageToken: '' });
    expect(await listed({ sort: 'PAYMENT_SORT_AMOUNT_DESC' })).toEqual([first!.id, third!.id, second!.id]);
    expect(await listed({ sort: 'PAYMENT_SORT_CREATED_ASC' })).toEqual(requests.map(({ id }) => id));
    expect(await listed({ statuses: ['PAYMENT_STATUS_SUCCEEDED', 'PAYMENT_STATUS_FAILED'] })).toEqual([second!.id]);
    expect(await listed({ amountMin: 150, amountMax: 250 })).toEqual([third!.id]);
    expect(await listed({ orderId: first!.orderId })).toEqual([first!.id]);
    expect(await listed({ createdFrom: new Date(), createdTo: new Date(8e12) })).toEqual([]);
    expect(await listed({ customerId }, OPERATOR)).toHaveLength(3);
    expect(await listed({}, asCustomer({ customerId: 'somebody else' }))).toEqual([]);
  });

  it.each<[string, string, Partial<ListPaymentRequestsRequest>]>([
    ['a page that is too large', 'page_size', { pageSize: 101 }],
    ['a page of negative size', 'page_size', { pageSize: -1 }],
    ['a token of another list', 'page_token', { pageToken: 'WyJ4IiwxLCJ5Il0' }],
    ['an unknown sort', 'sort', { sort: 'UNRECOGNIZED' }],
    ['an unspecified status', 'statuses', { statuses: ['PAYMENT_STATUS_UNSPECIFIED'] }],
    ['an empty id', 'order_id', { orderId: '' }],
    ['a negative amount', 'amount_min', { amountMin: -1 }],
  ])('rejects %s', async (_, field, fields) => {
    const answer = await client.call(Payments.listPaymentRequests, aList(fields), { headers: OPERATOR });

    expect(answer).toMatchObject({ status: 'INVALID_ARGUMENT', reason: 'validation', fields: [field] });
  });

  it('rejects a Timestamp that no Date can represent', async () => {
    // created_from is 9e12 seconds after 1970.
    const requestSerialize = () => Buffer.from('4a080880a0b6cef78502', 'hex');

    const method = { ...Payments.listPaymentRequests, requestSerialize };
    const answer = await client.call(method, aList(), { headers: OPERATOR });

    expect(answer).toMatchObject({ status: 'INVALID_ARGUMENT', reason: 'validation', fields: ['created_from'] });
  });
});

describe('the timeline of a payment', () => {
  it('comes in pages, and hides from its customer who acted', async () => {
    const request = await service.aRequest();
    const paymentRequestId = request.id;
    const failure = { paymentRequestId, reason: 'declined' };
    await client.call(Payments.markPaymentFailed, failure, { headers: OPERATOR });
    const page = { paymentRequestId, pageSize: 1, pageToken: '' };
    const { id: another } = await service.aRequest();

    const first = await client.call(Payments.getTimeline, page, { headers: OPERATOR });
    const next = { ...page, pageToken: first.response?.nextPageToken ?? '' };
    const last = await client.call(Payments.getTimeline, next, { headers: asCustomer(request) });
    const foreign = await client.call(
      Payments.getTimeline,
      { ...next, paymentRequestId: another },
      { headers: OPERATOR },
    );

    expect(first.response?.steps).toMatchObject([
      {
        type: 'PaymentRequested',
        status: 'PAYMENT_STATUS_PENDING',
        version: 1,
        at: expect.any(Date),
        actor: `customer:${request.customerId}`,
        detail: { expiresAt: expect.any(String) },
      },
    ]);
    expect(last.response).toMatchObject({
      steps: [{ type: 'PaymentFailed', actor: 'operator', detail: { reason: 'declined' } }],
      nextPageToken: '',
    });
    expect(foreign).toMatchObject({ status: 'INVALID_ARGUMENT', reason: 'validation' });
  });
});

/** A skipped block has the reason as its title. */
const describeWithGo = runsGo ? describe : describe.skip;

describeWithGo(runsGo ? 'grpcurl, by reflection,' : 'grpcurl needs Go', () => {
  const METHODS = 'twinbox.payments.v1.PaymentRequestService';
  const headers = Object.entries(OPERATOR).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  let grpcurl: string;
  beforeAll(async () => {
    grpcurl = await goTool('grpcurl');
  }, 300_000);

  async function run(flags: readonly string[], ...args: readonly string[]): Promise<string> {
    const address = service.app.get(GrpcEdge).address ?? '';
    const { stdout } = await promisify(execFile)(grpcurl, ['-plaintext', ...flags, address, ...args]);
    return stdout;
  }

  it('lists the services', async () => {
    const listed = await run([], 'list');

    expect(listed.trim().split('\n')).toEqual([
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      METHODS,
    ]);
  });

  it.each([
    ['a message with a Timestamp', 'PaymentRequest', '  .google.protobuf.Timestamp expires_at = 10;'],
    ['a message with a Struct', 'PaymentStep', '  .google.protobuf.Struct detail = 9;'],
    ['an enum', 'PaymentStatus', '  PAYMENT_STATUS_REFUND_PENDING = 5;'],
    ['a service', 'PaymentRequestService', '  rpc GetTimeline ( .twinbox.payments.v1.GetTimelineRequest )'],
  ])('describes %s with its comments', async (_, name, line) => {
    const described = await run([], 'describe', `twinbox.payments.v1.${name}`);

    expect(described).toContain(line);
    expect(described).toMatch(/^ *\/\/ [A-Z].*\.$/m);
  });

  it('describes a message with a map', async () => {
    expect(await run([], 'describe', 'google.rpc.ErrorInfo')).toContain('  map<string, string> metadata = 3;');
  });

  it('calls a method whose messages have a Timestamp, a Struct and an enum', async () => {
    const request = await service.aRequest();
    const body = JSON.stringify({ paymentRequestId: request.id, reason: 'declined' });
    await run([...headers, '-d', body], `${METHODS}/MarkPaymentFailed`);

    const timeline = await run(
      [...headers, '-d', JSON.stringify({ paymentRequestId: request.id })],
      `${METHODS}/GetTimeline`,
    );
    const filters = {
      createdFrom: '2026-11-21T09:30:00Z',
      statuses: ['PAYMENT_STATUS_FAILED'],
      orderId: request.orderId,
    };
    const list = await run([...headers, '-d', JSON.stringify(filters)], `${METHODS}/ListPaymentRequests`);

    expect(JSON.parse(timeline)).toMatchObject({
      steps: [
        { status: 'PAYMENT_STATUS_PENDING' },
        {
          status: 'PAYMENT_STATUS_FAILED',
          at: expect.stringMatching(/^\d{4}-.*Z$/),
          detail: { reason: 'declined' },
        },
      ],
    });
    expect(JSON.parse(list)).toMatchObject({ paymentRequests: [{ id: request.id, amount: { minorUnits: '900' } }] });
  });

  it('shows the details of an error', async () => {
    const call = run(
      [...headers, '-d', JSON.stringify({ paymentRequestId: uuidv7() })],
      `${METHODS}/GetPaymentRequest`,
    );

    const { stderr } = (await call.catch((error: unknown) => error)) as { readonly stderr: string };

    expect(stderr).toContain('Code: NotFound');
    expect(stderr).toContain('"reason": "payment-request-not-found"');
  });
});
