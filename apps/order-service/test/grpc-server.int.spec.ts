import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { credentials } from '@grpc/grpc-js';
import { connectGrpc, createApp, type GrpcApi, GrpcEdge, loadConfig } from '@twinbox/api-kit';
import { descriptors } from '@twinbox/contracts/grpc/descriptors';
import { HealthCheckResponse_ServingStatus as Serving, HealthService } from '@twinbox/contracts/grpc/health';
import { OrderServiceService as Orders, ProductServiceService as Products } from '@twinbox/contracts/grpc/orders';
import { until } from '@twinbox/messaging/testing';
import { goTool, root, runsGo } from '@twinbox/tools';
import { createAuthority } from '@twinbox/tools/secure-servers';
import { blocksFor, GrpcTestClient, type GrpcTestStream } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { OrderServiceConfig } from '../src/config.js';
import { orderService } from '../src/service.js';
import { aCustomer, aList, anOrder } from './grpc.fixtures.js';
import { type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
let client: GrpcTestClient;

beforeAll(async () => {
  service = await startOrderService({ GRPC_PORT: '0' });
  client = GrpcTestClient.of(service);
  await service.aProduct({ id: 'tea-earl-grey', name: 'Earl Grey, 100 g', price: 890 });
});
afterAll(async () => {
  client.close();
  await service.stop();
});

const exec = promisify(execFile);
const addressOf = ({ app }: OrderServiceHarness) => app.get(GrpcEdge).address ?? '';

describe('the server', () => {
  it('P10 shares the budgets of REST, and says when to call again', async () => {
    const limited = await startOrderService({ GRPC_PORT: '0', RATE_LIMIT_READS: '2/h', RATE_LIMIT_WRITES: '1/h' });
    const own = GrpcTestClient.of(limited);
    const headers = aCustomer();

    await limited.caller(headers).get('/orders');
    const read = await own.call(Orders.getOrders, aList(), { headers });
    const refused = await own.call(Orders.getOrders, aList(), { headers });
    const written = await own.call(Orders.createOrder, anOrder(), { headers });
    const writtenAgain = await own.call(Orders.createOrder, anOrder(), { headers });
    own.close();
    await limited.stop();

    expect([read.status, written.status]).toEqual(['OK', 'OK']);
    for (const answer of [refused, writtenAgain])
      expect(answer).toMatchObject({ status: 'RESOURCE_EXHAUSTED', reason: 'too-many-requests' });
    expect(refused.retryAfter).toBeGreaterThan(3500);
  });

  it('P10 has the quotas of REST, which do not pass by waiting', async () => {
    const limited = await startOrderService({ GRPC_PORT: '0', MAX_UNPAID_ORDERS: '1' });
    const own = GrpcTestClient.of(limited);
    const headers = aCustomer();

    await own.call(Orders.createOrder, anOrder(), { headers });
    const refused = await own.call(Orders.createOrder, anOrder(), { headers });
    own.close();
    await limited.stop();

    expect(refused).toMatchObject({
      status: 'RESOURCE_EXHAUSTED',
      reason: 'too-many-unpaid-orders',
      facts: { most: '1' },
      retryAfter: undefined,
    });
  });

  it('P7 limits the size of messages and metadata', async () => {
    const large = anOrder({ description: 'x'.repeat(110_000) });

    const message = await client.call(Orders.createOrder, large, { headers: aCustomer() });
    const metadata = await client.call(Orders.createOrder, anOrder(), {
      headers: { ...aCustomer(), 'x-filler': 'x'.repeat(20_000) },
    });

    expect(message.status).toBe('RESOURCE_EXHAUSTED');
    expect(metadata).toMatchObject({ status: 'RESOURCE_EXHAUSTED', reason: 'request-header-fields-too-large' });
  });

  it('P10 answers only calls for its own host with AUTH_MODE=dev', async () => {
    const foreign = new GrpcTestClient(addressOf(service), credentials.createInsecure(), {
      'grpc.default_authority': 'evil.example',
    });

    const refused = await foreign.call(Orders.getOrders, aList(), { headers: aCustomer() });
    foreign.close();

    expect(refused).toMatchObject({ status: 'PERMISSION_DENIED', reason: 'misdirected-request' });
  });

  it('P10 is served with TLS only, if it has a certificate', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'twinbox-grpc-'));
    const authority = await createAuthority(directory);
    const { certFile, keyFile } = await authority.issue({ name: 'orders', hosts: 'DNS:localhost,IP:127.0.0.1' });
    const secured = await startOrderService({
      GRPC_PORT: '0',
      GRPC_TLS_CERT_FILE: certFile,
      GRPC_TLS_KEY_FILE: keyFile,
    });
    const trusting = new GrpcTestClient(
      addressOf(secured),
      credentials.createSsl(await readFile(authority.caFile), null, null),
    );
    const insecure = GrpcTestClient.of(secured);

    const answers = [
      await trusting.call(Orders.getOrders, aList(), { headers: aCustomer() }),
      await insecure.call(Orders.getOrders, aList(), { headers: aCustomer(), deadlineMs: 5000 }),
    ];
    for (const each of [trusting, insecure]) each.close();
    await secured.stop();
    await rm(directory, { recursive: true });

    expect(answers.map(({ status }) => status)).toEqual(['OK', 'UNAVAILABLE']);
  });

  it('does not start on a port that is in use, or with a method that has no handler', async () => {
    const [, port = ''] = addressOf(service).split(':');

    await expect(connectTo({ GRPC_PORT: port }, { OrderService: Orders })).rejects.toThrow(
      `port ${port} on 127.0.0.1 is in use. Stop the process that is using it, or set GRPC_PORT to another port`,
    );
    await expect(connectTo({ GRPC_PORT: '0' }, { OrderService: Orders, UnicornService: Products })).rejects.toThrow(
      'These gRPC methods have no handler: UnicornService/ListProducts, UnicornService/GetProduct, UnicornService/PutProduct.',
    );
  });

  it('P7 ends calls whose message does not arrive, and those whose answer is not read, and refuses too many connections', async () => {
    const limited = await startOrderService({
      GRPC_PORT: '0',
      REQUEST_TIMEOUT: '1s',
      RESPONSE_TIMEOUT: '100ms',
      MAX_CONNECTIONS: '2',
    });
    const open = (initialWindowSize: number) =>
      connect(`http://${addressOf(limited)}`, { settings: { initialWindowSize } }).on('error', () => undefined);
    const [slowSender, slowReader] = [open(65_535), open(0)];
    const call = (session: ClientHttp2Session) =>
      session.request({
        ':method': 'POST',
        ':path': Products.listProducts.path,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
    const emptyMessage = Buffer.alloc(5);

    const half = call(slowSender);
    half.write(emptyMessage.subarray(0, 3));
    const unread = call(slowReader);
    unread.end(emptyMessage);
    const excess = connectSocket(Number(addressOf(limited).split(':')[1]), '127.0.0.1').on('error', () => undefined);
    const all = [half, unread, excess];
    // What is not read hides the end.
    for (const each of all) each.resume();
    await Promise.all(all.map((each) => once(each, 'close')));
    for (const session of [slowSender, slowReader]) session.destroy();
    await limited.stop();

    expect([half.rstCode, unread.rstCode]).toEqual([constants.NGHTTP2_CANCEL, constants.NGHTTP2_CANCEL]);
  });

  it('does not start on a host that is not this machine', async () => {
    await expect(connectTo({ HOST: 'unicorn.invalid', NODE_ENV: 'test' }, { OrderService: Orders })).rejects.toThrow(
      'HOST="unicorn.invalid" is not an address of this machine.',
    );
  });

  /** Starts an application that serves these services. */
  async function connectTo(env: Record<string, string>, services: GrpcApi['services']): Promise<void> {
    const config = loadConfig(OrderServiceConfig, {
      DATABASE_URL: service.database.url,
      KAFKA_BROKERS: '127.0.0.1:1',
      GRPC_PORT: '0',
      LOG_LEVEL: 'fatal',
      ...env,
    });
    const app = await createApp(orderService.module(config), config, orderService.openApi);
    try {
      await connectGrpc(app, { services, descriptors });
      await app.startAllMicroservices();
    } finally {
      await app.close();
    }
  }

  it('P8 reports by the standard health service whether it can answer', async () => {
    const check = async (name: string) => client.call(HealthService.check, { service: name });
    const watch: GrpcTestStream<{ status: Serving }> = client.open(HealthService.watch, { service: '' });

    expect((await check('')).response?.status).toBe(Serving.SERVING);
    expect((await check('twinbox.orders.v1.OrderService')).response?.status).toBe(Serving.SERVING);
    expect((await check('unicorn')).status).toBe('NOT_FOUND');
    await until('the health is reported', () => watch.messages.length === 1);
    expect(watch.messages).toEqual([{ status: Serving.SERVING }]);
    watch.cancel();
  });
});

describe('the documentation', () => {
  it('has a client for Node that places an order and follows it', async () => {
    const [{ text } = { text: '' }] = await blocksFor('a gRPC client');
    // Here, so that Node finds the packages.
    const file = join(root, `node_modules/.cache/grpc-client-${process.pid}.mjs`);
    await writeFile(file, text.replace('localhost:50051', addressOf(service)));
    const running = exec(process.execPath, [file]);
    try {
      const order = await until('the order is placed', async () => {
        const [row] = await service.database.sql<{ id: string }>(
          `select id from orders.orders where customer_id = 'ada' and status = 'PLACED'`,
        );
        return row;
      });
      const paymentRequestId = uuidv7();
      await service.receives({ type: 'PaymentRequested', data: { orderId: order.id, paymentRequestId } });
      const { stdout } = await running;

      expect(stdout).toMatch(new RegExp(`^${order.id} ORDER_STATUS_PLACED 1780 EUR\\n`));
      expect(stdout).toContain('PaymentRequested ORDER_STATUS_PAYMENT_PENDING');
    } finally {
      await rm(file);
    }
  });
});

/** A skipped block has the reason as its title. */
const describeWithGo = runsGo ? describe : describe.skip;

describeWithGo(runsGo ? 'the documentation, with grpcurl,' : 'grpcurl needs Go', () => {
  let grpcurl: string;
  beforeAll(async () => {
    grpcurl = await goTool('grpcurl');
  }, 300_000);

  it('has commands for grpcurl, which finds the definitions by reflection', async () => {
    const [{ text } = { text: '' }] = await blocksFor('commands of grpcurl');
    const script = `grpcurl() { ${grpcurl} "$@"; }\n${text.replaceAll('localhost:50051', addressOf(service))}`;

    const { stdout } = await exec('bash', ['-euc', script]);

    expect(stdout).toContain('grpc.health.v1.Health\n');
    expect(stdout).toContain('twinbox.orders.v1.OrderService\n');
    expect(stdout).toContain('rpc CreateOrder');
    expect(stdout).toContain('"status": "ORDER_STATUS_PLACED"');
    expect(stdout).toContain('"minorUnits": "1780"');
  });
});
