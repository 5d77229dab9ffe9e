import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createApp,
  loadConfig,
  openApiDocument,
  type OpenApiInfo,
  type Service,
  type ServiceConfig,
} from '@twinbox/api-kit';
import { type TestDatabase, testServerUrl } from '@twinbox/messaging/testing';
import { SERVICES } from '@twinbox/migrations/services';
import { ON_A_BUSY_MACHINE, root, WITHOUT_RATE_LIMITS } from '@twinbox/tools';
import pg from 'pg';
import { type Answer, caller } from './http.js';
import { DescribedApi, type Document } from './openapi.js';
import { createServiceDatabase, PASSWORDS } from './service-database.js';
import { createServiceTopics } from './service-topics.js';

/** A service in the test's own process, set up as by its main.ts, with its own database, topics and consumer group. */
export type InProcessService = Awaited<ReturnType<typeof startInProcess>>;

export async function startInProcess<C extends ServiceConfig>(
  service: Required<Service<C>>,
  schema: keyof typeof PASSWORDS,
  env: Readonly<Record<string, string>> = {},
  migrated: Promise<TestDatabase> = createServiceDatabase(),
) {
  const [database, topics] = await Promise.all([migrated, createServiceTopics()]);
  // As if another replica were the relay: this one stands by, so the outbox keeps its messages.
  await database.sql(`update ${schema}.relay_lease set holder = gen_random_uuid(), expires_at = 'infinity'`);
  const config = loadConfig(service.configClass, {
    ...topics.env(service.name),
    DATABASE_URL: database.urlFor(schema, PASSWORDS[schema]),
    LOG_LEVEL: 'fatal',
    LOG_FORMAT: 'json',
    GRPC_PORT: 'off',
    // A few callers send all requests of a test. Tests of the limits set their own.
    ...WITHOUT_RATE_LIMITS,
    ...ON_A_BUSY_MACHINE,
    ...env,
  });
  const app = await createApp(service.module(config), config, service.openApi);
  await service.configure(app, config);
  const recorded = recordAnswers(app, service.openApi);
  await app.listen(0, '127.0.0.1');
  await app.startAllMicroservices();
  const url = await app.getUrl();

  return {
    app,
    ...recorded,
    openApi: service.openApi,
    url,
    database,
    topics,
    caller: (headers: Record<string, string>) => caller(url, headers),
    /** Runs a function while the service may not write its outbox. */
    async withoutOutbox<T>(run: () => Promise<T>): Promise<T> {
      await database.sql(`revoke insert on ${schema}.outbox from ${schema}`);
      try {
        return await run();
      } finally {
        await database.sql(`grant insert on ${schema}.outbox to ${schema}`);
      }
    },
    /** Stops the service. Throws if it gave an answer that its committed OpenAPI document does not describe. */
    async stop(): Promise<void> {
      await app.close();
      await database.drop();
      expect(recorded.undocumented()).toEqual([]);
    },
  };
}

/** Records all answers inside the service, whichever client a test uses. Call it before the service listens. */
export function recordAnswers(app: Awaited<ReturnType<typeof createApp>>, openApi: OpenApiInfo) {
  const answers: Answer[] = [];
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onSend', (request, reply, payload, done) => {
      const { method, url: path } = request;
      const headers = new Headers();
      for (const [name, value] of Object.entries({ ...reply.raw.getHeaders(), ...reply.getHeaders() }))
        if (value !== undefined) headers.set(name, String(value));
      const text = Buffer.isBuffer(payload) || typeof payload === 'string' ? payload.toString() : '';
      const body: unknown = text !== '' && /json/.test(headers.get('content-type') ?? '') ? JSON.parse(text) : text;
      answers.push({ method, path, status: reply.statusCode, headers, body });
      done();
    });
  let described: DescribedApi | undefined;
  const api = () => (described ??= new DescribedApi(openApiDocument(app, openApi)));
  let committed: DescribedApi | undefined;
  return {
    /** The OpenAPI document that the service serves. */
    api,
    /** All answers so far, except streams. */
    answers: answers as readonly Answer[],
    /** Differences between the answers and the committed OpenAPI document. */
    undocumented: () => {
      const document = (committed ??= new DescribedApi(committedDocument(openApi)));
      return [...new Set(answers.flatMap((answer) => document.gapsOf(answer)))];
    },
  };
}

/** Returns the OpenAPI document of a service that `npm run contracts` has generated. */
function committedDocument({ title }: OpenApiInfo): Document {
  const documents = SERVICES.map(({ schema }) => {
    const path = join(root, 'libs/contracts/openapi', `${schema}.json`);
    return JSON.parse(readFileSync(path, 'utf8')) as Document;
  });
  const found = documents.find(({ info }) => info.title === title);
  if (!found) throw new Error(`No committed document describes ${title}. Run "npm run contracts".`);
  return found;
}

/** Closes all connections to the database and rejects new ones until the returned function is called. */
export async function cutOff({ url }: TestDatabase): Promise<() => Promise<void>> {
  const name = new URL(url).pathname.slice(1);
  const admin = new pg.Client({ connectionString: testServerUrl() });
  await admin.connect();
  await admin.query(`alter database ${name} allow_connections false`);
  await admin.query('select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1', [name]);
  return async () => {
    await admin.query(`alter database ${name} allow_connections true`);
    await admin.end();
  };
}
