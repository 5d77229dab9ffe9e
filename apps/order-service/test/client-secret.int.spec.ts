import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kafkaSecurity, loadConfig } from '@twinbox/api-kit';
import {
  startKafkaTokenProvider,
  TOKEN_CLIENT,
  TOKEN_SECRET,
  type KafkaTokenProvider,
} from '@twinbox/tools/secure-servers';
import { OrderServiceConfig } from '../src/config.js';

let issuer: KafkaTokenProvider;
let directory: string;
beforeAll(async () => {
  issuer = await startKafkaTokenProvider();
  directory = mkdtempSync(join(tmpdir(), 'client-'));
});
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await issuer.stop();
});

it('P10 uses the secret that the file contains when a token is requested', async () => {
  const file = join(directory, 'secret');
  writeFileSync(file, 'an-old-secret');
  const config = loadConfig(OrderServiceConfig, {
    DATABASE_URL: 'postgres://orders@db/twinbox',
    KAFKA_BROKERS: 'kafka:9092',
    KAFKA_SSL: 'on',
    KAFKA_SASL_MECHANISM: 'oauthbearer',
    KAFKA_OAUTH_TOKEN_URL: issuer.tokenUrl,
    KAFKA_OAUTH_CLIENT_ID: TOKEN_CLIENT,
    KAFKA_OAUTH_CLIENT_SECRET_FILE: file,
  });
  const { sasl } = kafkaSecurity(config);
  if (sasl?.mechanism !== 'oauthbearer') throw new Error('oauthbearer is configured');
  const { token } = sasl;

  await expect(token()).rejects.toThrow(`refuses the client ${TOKEN_CLIENT}. Check its id and its secret`);
  writeFileSync(file, TOKEN_SECRET);

  expect(await token()).toMatchObject({ value: expect.stringMatching(/^ey/), expiresInMs: 3_600_000 });
});
