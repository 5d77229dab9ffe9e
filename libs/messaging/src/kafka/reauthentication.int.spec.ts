import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { type INestApplication, Logger } from '@nestjs/common';
import { CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { runsJava } from '../../test/java.js';
import { counts, createSandbox, inversions, type Sandbox } from '../../test/sandbox.js';
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
import { Outbox } from '../outbox/outbox.js';
import { until } from '../testing/until.js';

/** Sessions are longer than kafkajs's `reauthenticationThreshold` of 10 s, so every connection authenticates again every two seconds. */
const SESSION_MS = 12_000;
/** `npm run test:reauth` sets it to two minutes. */
const SECONDS = Number(process.env['TEST_REAUTH_SECONDS'] ?? 30);
const KEYS = Array.from({ length: 8 }, (_, n) => `key-${n}`);
const PAUSE_MS = 100;

let kafka: SecureKafka;
let issuer: KafkaTokenProvider;

beforeAll(async () => {
  if (!runsJava) return;
  issuer = await startKafkaTokenProvider();
  kafka = await startSecureKafka({ tokens: issuer, maxReauthMs: SESSION_MS });
});
afterAll(async () => {
  await kafka?.remove();
  await issuer?.stop();
});

async function start(broker: string, security: KafkaSecurity): Promise<{ sandbox: Sandbox; app: INestApplication }> {
  const sandbox = await createSandbox({ brokers: [broker], security, plainBrokers: [kafka.brokers] });
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  return { sandbox, app: await startCounter(sandbox) };
}

const describeWithJava = runsJava ? describe : describe.skip;

describeWithJava('connections with sessions', () => {
  it(
    `P2 P3 P4 that end every ${SESSION_MS / 1000} s lose, repeat and rebalance nothing`,
    async () => {
      const tls = { ca: readFileSync(kafka.authority.caFile, 'utf8') };
      let logins = 0;
      const password = () => {
        logins++;
        return SASL_PASSWORD;
      };
      issuer.next.lifetimeSeconds = 30;
      CounterController.next = () => undefined;
      const both = await Promise.all([
        start(kafka.sasl, { tls, sasl: { mechanism: 'scram-sha-512', username: SASL_USER, password } }),
        start(kafka.bearer!, { tls, sasl: { mechanism: 'oauthbearer', token: () => getToken(issuer) } }),
      ]);
      const sent = both.map(({ sandbox, app }) => KEYS.map((key) => sandbox.add(app.get(Outbox), key, 1)));
      await Promise.all(sent.flat());
      const effects = (sandbox: Sandbox) =>
        sandbox.database.sql<{ key: string; n: number }>('select key, n from sandbox.effects order by seq');
      const handled = (n: number) =>
        until('everything is handled', async () => {
          const all = await Promise.all(both.map(({ sandbox }) => effects(sandbox)));
          return all.every(({ length }) => length >= n * KEYS.length);
        });
      await handled(1);
      const joins = both.map(({ app }) => inboxHealth(app)['joins']);
      const [loginsBefore, issuedBefore] = [logins, issuer.issued()];
      const warned = jest.spyOn(Logger.prototype, 'warn');

      let n = 1;
      for (const end = performance.now() + SECONDS * 1000; performance.now() < end; await delay(PAUSE_MS)) {
        n++;
        await Promise.all(both.flatMap(({ sandbox, app }) => KEYS.map((key) => sandbox.add(app.get(Outbox), key, n))));
      }

      await handled(n);
      const numbers = Array.from({ length: n }, (_, index) => index + 1);
      for (const { sandbox } of both) {
        await sandbox.drained();
        expect(inversions(sandbox.topic)).toEqual([]);
        const rows = await effects(sandbox);
        for (const key of KEYS) {
          expect(counts(sandbox.topic, key)).toEqual(numbers);
          expect(rows.filter((row) => row.key === key).map((row) => row.n)).toEqual(numbers);
        }
      }
      expect(both.map(({ app }) => inboxHealth(app)['joins'])).toEqual(joins);
      expect(warned.mock.calls).toEqual([]);
      // Every connection has authenticated again, and the tokens were renewed.
      expect(logins - loginsBefore).toBeGreaterThan(4);
      expect(issuer.issued()).toBeGreaterThan(issuedBefore);
      for (const { sandbox, app } of both) {
        await app.close();
        await sandbox.close();
      }
    },
    120_000 + SECONDS * 1000,
  );
});
