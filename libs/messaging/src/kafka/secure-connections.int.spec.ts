import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { pipeline } from 'node:stream';
import { type INestApplication } from '@nestjs/common';
import { CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { runsJava } from '../../test/java.js';
import { counts, createSandbox, type Sandbox } from '../../test/sandbox.js';
import {
  getToken,
  SASL_PASSWORD,
  SASL_USER,
  type SecureKafka,
  startSecureKafka,
  startKafkaTokenProvider,
  type KafkaTokenProvider,
} from '../../test/secure-servers.js';
import { type KafkaSecurity } from '../kafka-security.js';
import { kafkaOptionsOf } from '../messaging-options.js';
import { MessagingHealth } from '../operations/health.js';
import { Outbox } from '../outbox/outbox.js';
import { until } from '../testing/until.js';
import { connectProducer } from './producer.js';
import { createTopics } from './topics.js';

let kafka: SecureKafka;
let issuer: KafkaTokenProvider;
let ca: string;
const undo: (() => Promise<unknown>)[] = [];
const undoAll = async () => {
  for (let step = undo.pop(); step; step = undo.pop()) await step();
};

const withPassword = (mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512', password = SASL_PASSWORD) => ({
  tls: { ca },
  sasl: { mechanism, username: SASL_USER, password },
});

async function clientCertificate(days?: number): Promise<KafkaSecurity> {
  const { certFile, keyFile } = await kafka.authority.issue({ name: 'client', ...(days !== undefined && { days }) });
  return { tls: { ca, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') } };
}

/** Opens a proxy that counts connections. */
async function countConnections(broker: string): Promise<{ broker: string; count: () => number }> {
  let count = 0;
  const [host, port] = broker.split(':');
  const server = createServer((client) => {
    count++;
    const upstream = connect(Number(port), host);
    pipeline(client, upstream, client, () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(async () => server.close());
  return { broker: `127.0.0.1:${(server.address() as AddressInfo).port}`, count: () => count };
}

const withToken = (get = () => getToken(issuer)): KafkaSecurity => ({
  tls: { ca },
  sasl: { mechanism: 'oauthbearer', token: get },
});

async function secureSandbox(broker: string, security: KafkaSecurity): Promise<Sandbox> {
  const sandbox = await createSandbox({ brokers: [broker], security, plainBrokers: [kafka.brokers] });
  undo.push(() => sandbox.close());
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  CounterController.next = () => undefined;
  return sandbox;
}

async function start(sandbox: Sandbox, more: { brokers?: readonly string[]; security?: KafkaSecurity } = {}) {
  const app = await startCounter({ ...sandbox, options: { ...sandbox.options, ...more } });
  undo.push(() => app.close());
  return app;
}

const handled = async ({ database }: Sandbox) => (await database.sql('select n from sandbox.effects')).length;
const relayHealth = (app: INestApplication) => app.get(MessagingHealth).check().components['relay']!;

const describeWithJava = runsJava ? describe : describe.skip;

describeWithJava('connections to Kafka', () => {
  beforeAll(async () => {
    issuer = await startKafkaTokenProvider();
    kafka = await startSecureKafka({ tokens: issuer });
    ca = readFileSync(kafka.authority.caFile, 'utf8');
  });
  afterEach(undoAll);
  afterAll(async () => {
    await kafka.remove();
    await issuer.stop();
  });

  it.each([
    ['PLAIN', () => kafka.sasl, () => withPassword('plain')],
    ['SCRAM-SHA-256', () => kafka.sasl, () => withPassword('scram-sha-256')],
    ['SCRAM-SHA-512', () => kafka.sasl, () => withPassword('scram-sha-512')],
    ['a client certificate', () => kafka.mutual, () => clientCertificate()],
    ['OAUTHBEARER', () => kafka.bearer!, () => withToken()],
  ])('P2 P4 create topics, publish and consume with %s', async (_, broker, security) => {
    const sandbox = await secureSandbox(broker(), await security());
    const app = await start(sandbox);

    await sandbox.add(app.get(Outbox), 'a', 1);

    await until('the message is handled', () => handled(sandbox));
    await sandbox.drained();
    expect(counts(sandbox.topic, 'a')).toEqual([1]);
    expect(app.get(MessagingHealth).check()).toMatchObject({ healthy: true });
  });

  const PASSWORD = 'Check the user name and the password';
  const CERTIFICATE = 'Configure a certificate and its key';

  it.each<[string, () => string, () => KafkaSecurity | Promise<KafkaSecurity>, string]>([
    [
      'a wrong password with PLAIN',
      () => kafka.sasl,
      () => withPassword('plain', 'wrong'),
      `refuses the password of user twinbox (PLAIN). ${PASSWORD}`,
    ],
    [
      'a wrong password with SCRAM',
      () => kafka.sasl,
      () => withPassword('scram-sha-512', 'wrong'),
      `refuses the password of user twinbox (SCRAM-SHA-512). ${PASSWORD}`,
    ],
    [
      'an unknown authority',
      () => kafka.sasl,
      () => ({ ...withPassword('plain'), tls: {} }),
      "presents a certificate of an authority that is not trusted. Configure the authority's certificate",
    ],
    [
      'a wrong host name',
      () => kafka.sasl.replace('127.0.0.1', 'localhost'),
      () => withPassword('plain'),
      'presents a certificate for other hosts (IP Address:127.0.0.1). Connect by a name in the certificate, or have it issued for this one',
    ],
    [
      'a missing client certificate',
      () => kafka.mutual,
      () => ({ tls: { ca } }),
      `requires a client certificate. ${CERTIFICATE}`,
    ],
    ['no TLS on a port with TLS', () => kafka.sasl, () => ({}), 'expects TLS on this port. Turn on TLS'],
    [
      'TLS on a port without TLS',
      () => kafka.brokers,
      () => ({ tls: { ca } }),
      'ended the TLS handshake. Its port probably does not use TLS: use another port, or turn off TLS',
    ],
    [
      'no authentication where it is required',
      () => kafka.sasl,
      () => ({ tls: { ca } }),
      'closes connections at the first request. It probably expects SASL on this port',
    ],
    [
      'authentication where there is none',
      () => kafka.brokers,
      () => ({ sasl: { mechanism: 'scram-sha-512', username: SASL_USER, password: SASL_PASSWORD } }),
      'does not expect authentication on this port. Use the port of a listener with SASL, or turn off SASL',
    ],
    [
      'a mechanism that is not enabled',
      () => kafka.sasl,
      () => ({ tls: { ca }, sasl: { mechanism: 'oauthbearer', token: () => Promise.reject(new Error('unused')) } }),
      'does not offer OAUTHBEARER. Use a mechanism that is enabled on this port',
    ],
    [
      'a token without a provider',
      () => kafka.bearer!,
      () => withToken(() => Promise.reject(new Error('the provider is down'))),
      'needs a token, but there is none: the provider is down',
    ],
  ])('report %s', async (_, broker, makeSecurity, reason) => {
    const text = `Kafka at ${broker()} ${reason}`;
    const security = await makeSecurity();
    const sandbox = await secureSandbox(kafka.brokers, {});
    const wrong = { brokers: [broker()], security };
    const options = kafkaOptionsOf({ ...sandbox.options, ...wrong });

    const app = await start(sandbox, wrong);
    await sandbox.add(app.get(Outbox), 'a', 1);

    await until('health reports it', () => !inboxHealth(app).healthy && !relayHealth(app).healthy);
    expect(inboxHealth(app)['problem']).toBe(text);
    expect(relayHealth(app)['problem']).toBe(text);
    await expect(createTopics(options, [sandbox.consumer.topic])).rejects.toThrow(text);
    await expect(connectProducer({ ...options, source: '/test' })).rejects.toThrow(text);
  });

  it('report a token that Kafka refuses, and go on with the next one', async () => {
    issuer.next.audience = 'urn:other';
    undo.push(async () => (issuer.next.audience = issuer.audience));
    const sandbox = await secureSandbox(kafka.brokers, {});
    const app = await start(sandbox, { brokers: [kafka.bearer!], security: withToken() });
    await sandbox.add(app.get(Outbox), 'a', 1);

    await until('health reports it', () => !inboxHealth(app).healthy && !relayHealth(app).healthy);
    const text = `Kafka at ${kafka.bearer} refuses the token (invalid_token). Check its audience, its issuer and its scope`;
    expect(inboxHealth(app)['problem']).toBe(text);
    expect(relayHealth(app)['problem']).toBe(text);

    issuer.next.audience = issuer.audience;

    await until('the message is handled', () => handled(sandbox));
  });

  it('P2 recover by themselves after the password was changed in Kafka first and here later', async () => {
    let password = SASL_PASSWORD;
    const sasl = { mechanism: 'scram-sha-512' as const, username: SASL_USER, password: () => password };
    const sandbox = await secureSandbox(kafka.sasl, { tls: { ca }, sasl });
    const app = await start(sandbox);
    await sandbox.add(app.get(Outbox), 'a', 1);
    await until('the first message is handled', () => handled(sandbox));

    undo.push(() => kafka.setPassword(SASL_PASSWORD));
    await kafka.setPassword('rotated');
    await kafka.restart();
    await sandbox.add(app.get(Outbox), 'a', 2);
    const refused = ({ problem }: Record<string, unknown>) => String(problem).includes('refuses the password of user');
    await until('health reports it', () => refused(inboxHealth(app)) && refused(relayHealth(app)));
    password = 'rotated';

    await until('the second message is handled', async () => (await handled(sandbox)) === 2);
    await until('health is good', () => app.get(MessagingHealth).check().healthy);
    expect(JSON.stringify(app.get(MessagingHealth).check())).not.toContain('rotated');
  });

  it('try again at most once a second, together', async () => {
    const link = await countConnections(kafka.sasl);
    const sandbox = await secureSandbox(kafka.brokers, {});
    const security = withPassword('scram-sha-512', 'wrong');
    const since = performance.now();
    const app = await start(sandbox, { brokers: [link.broker], security });
    await sandbox.add(app.get(Outbox), 'a', 1);

    await until('they have tried again', () => link.count() > 2);

    const seconds = (performance.now() - since) / 1000;
    expect(link.count()).toBeLessThanOrEqual(1 + Math.ceil(seconds));
  });

  it('request one token for all connections of a process', async () => {
    const sandbox = await secureSandbox(kafka.bearer!, withToken());
    const before = issuer.issued();
    const app = await start(sandbox, { security: withToken() });

    await sandbox.add(app.get(Outbox), 'a', 1);
    await until('the message is handled', () => handled(sandbox));

    expect(issuer.issued() - before).toBe(1);
  });

  it('report an expired client certificate', async () => {
    const options = { brokers: [kafka.mutual], clientId: 'test', security: await clientCertificate(-1) };

    await expect(createTopics(options, [])).rejects.toThrow(
      /^Kafka at \S+ refuses the client certificate, which expired on \S+Z\. Renew it$/,
    );
  });
});
