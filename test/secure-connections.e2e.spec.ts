import { execFile } from 'node:child_process';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { TokenIssuer as UserTokens } from '@twinbox/api-kit/testing';
import { createOrdersClient } from '@twinbox/client/orders';
import { createPaymentsClient } from '@twinbox/client/payments';
import { createDatabase, type TestDatabase, until } from '@twinbox/messaging/testing';
import {
  caller,
  createServiceTopics,
  customer,
  MarkedFlow,
  Marks,
  PASSWORDS,
  type ServiceProcess,
  type ServiceTopics,
  startService,
  stopServices,
} from '@twinbox/test-support';
import {
  SASL_PASSWORD,
  SASL_USER,
  runsJava,
  type SecureKafka,
  type SecurePostgres,
  startSecureKafka,
  startSecurePostgres,
  startKafkaTokenProvider,
  TOKEN_CLIENT,
  TOKEN_SECRET,
  type KafkaTokenProvider,
} from '@twinbox/tools/secure-servers';

const describeWithJava = runsJava ? describe : describe.skip;

let kafka: SecureKafka;
let issuer: KafkaTokenProvider;
let postgres: SecurePostgres;
let database: TestDatabase;
let topics: ServiceTopics;
let directory: string;

/** Writes a secret as Kubernetes does, which replaces the file in one step. */
async function secretFile(name: string, secret: string): Promise<string> {
  const file = join(directory, name);
  await writeFile(`${file}.new`, `${secret}\n`);
  await rename(`${file}.new`, file);
  return file;
}

const scram = async () => ({
  KAFKA_BROKERS: kafka.sasl,
  KAFKA_SSL: 'on',
  KAFKA_SSL_CA_FILE: kafka.authority.caFile,
  KAFKA_SASL_MECHANISM: 'scram-sha-512',
  KAFKA_SASL_USERNAME: SASL_USER,
  KAFKA_SASL_PASSWORD_FILE: await secretFile('kafka-password', SASL_PASSWORD),
});
const bearer = async () => ({
  KAFKA_BROKERS: kafka.bearer!,
  KAFKA_SSL: 'on',
  KAFKA_SSL_CA_FILE: kafka.authority.caFile,
  KAFKA_SASL_MECHANISM: 'oauthbearer',
  KAFKA_OAUTH_TOKEN_URL: issuer.tokenUrl,
  KAFKA_OAUTH_CLIENT_ID: TOKEN_CLIENT,
  KAFKA_OAUTH_CLIENT_SECRET_FILE: await secretFile('client-secret', TOKEN_SECRET),
});
const certificate = async () => {
  const { certFile, keyFile } = await kafka.authority.issue({ name: 'client' });
  return {
    KAFKA_BROKERS: kafka.mutual,
    KAFKA_SSL: 'on',
    KAFKA_SSL_CA_FILE: kafka.authority.caFile,
    KAFKA_SSL_CERT_FILE: certFile,
    KAFKA_SSL_KEY_FILE: keyFile,
  };
};
const plain = async () => ({ ...(await scram()), KAFKA_SASL_MECHANISM: 'plain' });

const databaseUrl = (role: string, password: string) => {
  const url = new URL(postgres.secured(database.url));
  [url.username, url.password] = [role, password];
  return url.href;
};

/** Runs a command of the image. */
function run(path: string, env: Record<string, string>): Promise<{ stdout: string }> {
  const command = fileURLToPath(new URL(`../${path}`, import.meta.url));
  return promisify(execFile)(process.execPath, [command], { env: { PATH: process.env['PATH'], ...env } });
}
const orderService = (env: Record<string, string>) =>
  run('apps/order-service/dist/main.js', { PORT: '0', GRPC_PORT: '0', ...env });
const createTopics = (env: Record<string, string>) => run('tools/dist/provisioning/topics.js', env);

/** Orders something, and pays for it. */
async function complete(orders: ServiceProcess, payments: ServiceProcess): Promise<void> {
  const ada = createOrdersClient({ baseUrl: orders.url, devUser: { id: 'ada' } });
  const cashier = createPaymentsClient({ baseUrl: payments.url, devUser: { id: 'ops', roles: ['operator'] } });
  const { id: orderId } = await ada.createOrder({ items: [{ productId: 'filter-papers', quantity: 1 }] });
  const { id: paymentRequestId } = await until('the payment is requested', async () => {
    const { items } = await cashier.listPaymentRequests({ orderId }).page();
    return items[0];
  });
  await cashier.markPaymentSucceeded({ paymentRequestId });
  await until('the order is completed', async () => (await ada.getOrder({ orderId })).status === 'COMPLETED');
}

const healthOf = async ({ url }: ServiceProcess) => JSON.stringify((await customer(url).get('/health/messaging')).body);

describeWithJava('both services with TLS and authentication', () => {
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'secrets-'));
    issuer = await startKafkaTokenProvider();
    [kafka, postgres] = await Promise.all([startSecureKafka({ tokens: issuer }), startSecurePostgres()]);
    database = await createDatabase(postgres.url);
    const url = await secretFile('admin-url', postgres.secured(database.url));
    await run('migrations/dist/migrate.js', {
      DATABASE_URL_FILE: url,
      ORDERS_DB_PASSWORD_FILE: await secretFile('orders-password', PASSWORDS.orders),
      PAYMENTS_DB_PASSWORD: PASSWORDS.payments,
    });
    await run('tools/dist/provisioning/demo-products.js', { DATABASE_URL_FILE: url });
    topics = await createServiceTopics([kafka.brokers]);
  });
  afterEach(stopServices);
  afterAll(async () => {
    await Promise.all([kafka.remove(), postgres.remove(), issuer.stop()]);
    await rm(directory, { recursive: true });
  });

  afterEach(() => kafka.setPassword(SASL_PASSWORD));

  it('P2 complete orders, and go on after the passwords of Kafka and PostgreSQL were replaced in their files', async () => {
    const ordersUrl = await secretFile('orders-url', databaseUrl('orders', 'orders'));
    const orders = await startService('order-service', {
      ...topics.env('order-service'),
      ...(await scram()),
      DATABASE_URL_FILE: ordersUrl,
      LOG_LEVEL: 'debug',
    });
    const payments = await startService('payment-service', {
      ...topics.env('payment-service'),
      ...(await bearer()),
      DATABASE_URL: databaseUrl('payments', 'payments'),
    });
    await complete(orders, payments);
    const sessions = await database.sql<{ ssl: boolean }>(
      `select ssl from pg_stat_activity join pg_stat_ssl using (pid) where usename in ('orders', 'payments')`,
    );
    expect(new Set(sessions.map(({ ssl }) => ssl))).toEqual(new Set([true]));

    await kafka.setPassword('rotated-in-kafka');
    await kafka.restart();
    await until('Kafka refuses the old password', async () =>
      (await healthOf(orders)).includes('refuses the password of user twinbox (SCRAM-SHA-512)'),
    );
    await secretFile('kafka-password', 'rotated-in-kafka');
    await database.sql(`alter role orders password 'rotated-in-postgres'`);
    await secretFile('orders-url', databaseUrl('orders', 'rotated-in-postgres'));
    await database.sql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'orders'`);

    await until('orders are accepted again', async () => (await customer(orders.url).get('/health')).status === 200);
    await complete(orders, payments);
    for (const secret of [SASL_PASSWORD, TOKEN_SECRET, 'rotated-in'])
      expect(orders.log() + payments.log()).not.toContain(secret);
  });

  it('P10 no secret, token, signature or payload value is in a log, a problem, metrics or health', async () => {
    const marks = new Marks();
    for (const secret of [SASL_PASSWORD, TOKEN_SECRET]) marks.add('secret for Kafka', secret);
    const password = marks.new('database password');
    for (const role of ['orders', 'payments']) await database.sql(`alter role ${role} password '${password}'`);
    const webhookKey = Buffer.from(marks.new('webhook secret'));
    const webhookSecret = marks.add('encoded webhook secret', webhookKey.toString('base64'));
    const tokens = await UserTokens.start();
    const ofBoth = { ...tokens.env, LOG_LEVEL: 'trace' };
    const orders = await startService('order-service', {
      ...topics.env('order-service'),
      ...(await scram()),
      ...ofBoth,
      DATABASE_URL: databaseUrl('orders', password),
      NOTIFIER: 'smtp',
      SMTP_URL: `smtp://shop:${marks.new('mail password')}@127.0.0.1:1`,
      MAIL_DOMAIN: `${marks.new('mail domain')}.example`,
    });
    const payments = await startService('payment-service', {
      ...topics.env('payment-service'),
      ...(await bearer()),
      ...ofBoth,
      DATABASE_URL: databaseUrl('payments', password),
      WEBHOOK_SECRET: `whsec_${webhookSecret}`,
    });

    const flow = new MarkedFlow({ marks, orders, payments, tokens, database, topics, webhookKey });
    const { problems, told } = await flow.run();

    const shown = [told, ...problems.map(({ headers, body }) => JSON.stringify([[...headers], body]))];
    for (const code of ['ticket-used-again', 'ticket-expired']) expect(shown.join('')).toContain(code);
    const authorization = `Bearer ${await tokens.token({ claims: { roles: ['operator'] } })}`;
    for (const { url } of [orders, payments])
      for (const path of ['/metrics', '/health', '/health/messaging', '/openapi.json']) {
        const { status, body } = await caller(url, { authorization }).get(path);
        // The broken messages make messaging unhealthy.
        expect([200, 503]).toContain(status);
        shown.push(JSON.stringify(body));
      }
    const exits = [await orders.stop(), await payments.stop()];
    await tokens.stop();
    for (const role of ['orders', 'payments'] as const)
      await database.sql(`alter role ${role} password '${PASSWORDS[role]}'`);
    expect(exits).toEqual([0, 0]);
    const statuses = problems.map(({ status }) => status);
    expect(statuses).toEqual(expect.arrayContaining([400, 401, 403, 404, 409, 415, 500]));
    expect([...shown, orders.log(), payments.log()].flatMap((text) => marks.foundIn(text))).toEqual([]);
  });

  it.each([
    ['PLAIN', plain],
    ['SCRAM', scram],
    ['a client certificate', certificate],
    ['OAUTHBEARER', bearer],
  ])('the topics command works with %s', async (_, env) => {
    const { stdout } = await createTopics(await env());

    expect(stdout).toContain('order.events: 6 partitions');
  });

  it.each([
    [
      'a wrong password',
      async () => ({ ...(await scram()), KAFKA_SASL_PASSWORD_FILE: await secretFile('wrong', 'wrong') }),
      'refuses the password of user twinbox',
    ],
    [
      'an unknown authority',
      async () => ({ ...(await scram()), KAFKA_SSL_CA_FILE: postgres.authority.caFile }),
      'presents a certificate of an authority that is not trusted',
    ],
    [
      'a wrong host name',
      async () => ({ ...(await scram()), KAFKA_BROKERS: kafka.sasl.replace('127.0.0.1', 'localhost') }),
      'presents a certificate for other hosts (IP Address:127.0.0.1)',
    ],
    [
      'a missing client certificate',
      async () => ({ ...(await scram()), KAFKA_BROKERS: kafka.mutual }),
      'requires a client certificate',
    ],
    ['no TLS', async () => ({ KAFKA_BROKERS: kafka.sasl }), 'expects TLS on this port'],
    [
      'a wrong client secret',
      async () => ({ ...(await bearer()), KAFKA_OAUTH_CLIENT_SECRET_FILE: await secretFile('wrong', 'wrong') }),
      'refuses the client kafka-client. Check its id and its secret',
    ],
  ])('the topics command reports %s in one line', async (_, env, reason) => {
    const failure = createTopics(await env());

    await expect(failure).rejects.toMatchObject({
      stderr: expect.stringMatching(/^topics: Kafka at 127\.0\.0\.1:\d+ .*\n$|^topics: Kafka at localhost:\d+ .*\n$/),
    });
    await expect(failure).rejects.toMatchObject({ stderr: expect.stringContaining(reason) });
  });

  it.each([
    [{ KAFKA_SASL_MECHANISM: 'plain', KAFKA_SSL: 'off' }, 'it sends the password as it is, so it needs KAFKA_SSL=on'],
    [{ KAFKA_SASL_PASSWORD: 'twice' }, 'KAFKA_SASL_PASSWORD is set too. Unset one of them'],
  ])('the topics command and a service refuse %j at start', async (wrong, reason) => {
    const env = { ...(await scram()), ...wrong };

    const refusal = { stderr: expect.stringContaining(reason) };
    await expect(createTopics(env)).rejects.toMatchObject(refusal);
    await expect(orderService({ ...env, DATABASE_URL: databaseUrl('orders', 'orders') })).rejects.toMatchObject(
      refusal,
    );
  });

  it('P10 migrate and a service refuse sslmode=require at start', async () => {
    const DATABASE_URL = `${database.url}?sslmode=require`;
    const refusal = { stderr: expect.stringContaining('sslmode=require encrypts, but accepts any server') };

    await expect(run('migrations/dist/migrate.js', { DATABASE_URL })).rejects.toMatchObject(refusal);
    await expect(orderService({ ...(await scram()), DATABASE_URL })).rejects.toMatchObject(refusal);
  });
});
