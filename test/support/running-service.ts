import { openApiDocument, openApiGaps } from '@twinbox/api-kit';
import { until } from '@twinbox/messaging/testing';
import pg from 'pg';
import { testEventPage } from './event-page.js';
import { type Answer, caller, expectProblem } from './http.js';
import { cutOff, type InProcessService } from './in-process.js';
import { openApiErrors } from './openapi.js';
import { type DescribedRequest, describedRequests } from './requests.js';
import { PASSWORDS } from './service-database.js';

interface Options {
  readonly start: () => Promise<InProcessService>;
  readonly schema: keyof typeof PASSWORDS;
  /** A table of the service. */
  readonly table: string;
  readonly otherSchema: string;
  readonly otherTable: string;
  /** Prefixes of its consumer groups. */
  readonly consumers: readonly string[];
  /** Other components of its health. */
  readonly timers?: readonly string[];
  /** A path that a customer may GET and that needs the database. */
  readonly path: string;
}

/** The service, once it has started. */
type Running = () => InProcessService;

/** Tests what every running service must do. */
export function describeRunningService(options: Options): void {
  let started: InProcessService;
  beforeAll(async () => {
    started = await options.start();
  });
  afterAll(() => started.stop());

  const service = () => started;
  describeHealth(service, options);
  describeMetrics(service);
  describeOutage(service, options);
  describeRole(service, options);
  describeRequests(service, options);
  describeDocumentation(service);
}

function describeHealth(service: Running, options: Options): void {
  describe('health', () => {
    it.each(['/health/live', '/health/ready'])('P10 shows anyone the status only at %s', async (path) => {
      const answer = await service().caller({}).get(path);

      expect(answer.status).toBe(200);
      expect(answer.body).toEqual({ status: 'ok' });
      expect(answer.headers.get('cache-control')).toBe('no-store');
    });

    it.each(['/health', '/health/messaging'])('shows all details at %s', async (path) => {
      const answer = await service().caller({}).get(path);

      expect(answer).toMatchObject({ status: 200, body: { status: 'ok', error: {}, details: {} } });
      expect(answer.headers.get('cache-control')).toBe('no-store');
    });

    it('names the relay, the jobs and the consumers', async () => {
      const { body } = await service().caller({}).get('/health/messaging');

      const { components } = body.details.messaging;
      // Not only these, so that adding a consumer needs no change here.
      expect(Object.keys(components)).toEqual(
        expect.arrayContaining([
          ...(options.timers ?? []),
          ...options.consumers.map((name) => expect.stringMatching(`^inbox ${name}`)),
          'incidents',
          'jobs',
          'relay',
        ]),
      );
      for (const component of Object.values(components)) expect(component).toMatchObject({ healthy: true });
    });
  });
}

function describeMetrics(service: Running): void {
  describe('metrics', () => {
    it('P9 are open to anyone and cover the process, its requests and its messaging', async () => {
      const unpublished = 'messaging_outbox_unpublished_messages{state="ready"} 0';
      const lag = /^messaging_consumer_lag_messages\{consumer=".+",topic=".+",partition="0"\} 0$/m;
      // The messages of the tests before may still be on their way.
      const { status, headers, body } = await until('everything is published and read', async () => {
        const answer = await caller(service().url, {}).get('/metrics');
        return (
          (answer.status !== 200 || (lag.test(answer.body) && String(answer.body).includes(unpublished))) && answer
        );
      });

      expect(status).toBe(200);
      expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
      for (const name of ['process_cpu_seconds_total', 'http_request_duration_seconds', 'messaging_relay_leader'])
        expect(body).toContain(`# TYPE ${name} `);
    });

    it('P9 are returned in time without the database, except what only the database knows', async () => {
      const restore = await cutOff(service().database);

      const body = await until('the values from the database are gone', async () => {
        const began = performance.now();
        const answer = await caller(service().url, {}).get('/metrics');
        expect(answer.status).toBe(200);
        expect(performance.now() - began).toBeLessThan(3000);
        return !String(answer.body).includes('messaging_outbox_unpublished_messages{') && String(answer.body);
      });
      await restore();

      expect(body).toMatch(/^messaging_scrape_errors_total\{source="database"\} [1-9]/m);
      await until(
        'the service is healthy again',
        async () => (await service().caller({}).get('/health')).status === 200,
      );
    });
  });
}

function describeOutage(service: Running, { path }: Options): void {
  describe('without its database', () => {
    it('P8 answers 503 in time, and recovers by itself', async () => {
      const ada = service().caller({ 'x-user-id': 'ada' });
      const restore = await cutOff(service().database);

      const began = performance.now();
      const [read, live] = await Promise.all([path, '/health/live'].map((each) => ada.get(each)));
      const elapsedMs = performance.now() - began;
      // Health uses a ping again for a second.
      const ready = await until('readiness notices it', async () => {
        const answer = await ada.get('/health/ready');
        return answer.status !== 200 && answer;
      });
      const all = await ada.get('/health');
      await restore();

      expectProblem(read!, 503, 'database-unavailable');
      expect(read!.headers.get('retry-after')).toBe('1');
      expect(ready).toMatchObject({ status: 503, body: { status: 'error' } });
      expect(all).toMatchObject({ status: 503, body: { error: { database: { status: 'down' } } } });
      expect(live!.status).toBe(200);
      expect(elapsedMs).toBeLessThan(2000);
      expect((await ada.get(path)).status).toBe(200);
      await until('the service is healthy again', async () => (await ada.get('/health')).status === 200);
    });
  });
}

function describeRole(service: Running, { schema, table, otherSchema, otherTable }: Options): void {
  describe('its database role', () => {
    async function run(statement: string): Promise<void> {
      const role = new pg.Client({ connectionString: service().database.urlFor(schema, PASSWORDS[schema]) });
      await role.connect();
      try {
        await role.query(statement);
      } finally {
        await role.end();
      }
    }

    it.each([
      [`reads the other service's state`, `select from ${otherSchema}.${otherTable}`],
      [`reads the other service's messages`, `select from ${otherSchema}.outbox`],
      [`forges a message of the other service`, `insert into ${otherSchema}.outbox (type) values ('Forged')`],
      [`changes the other service's state`, `update ${otherSchema}.${otherTable} set version = 0`],
      ['creates a table', `create table ${schema}.more (id int)`],
      ['creates a table in public', 'create table public.more (id int)'],
      ['creates a temporary table', 'create temporary table more (id int)'],
      ['creates a schema', 'create schema more'],
      ['changes a table', `alter table ${schema}.${table} add column more int`],
      ['drops a table', `drop table ${schema}.${table}`],
      ['creates an index', `create index on ${schema}.outbox (id)`],
      ['empties a table', `truncate ${schema}.outbox`],
      ['reads the list of migrations', `select from ${schema}.migrations`],
      ['claims that a migration ran', `insert into ${schema}.migrations (timestamp, name) values (1, 'x')`],
      ['becomes another role', `set role ${otherSchema}`],
      ['creates a role', 'create role more'],
      ['reads a file of the server', `select pg_read_file('PG_VERSION')`],
    ])('P10 is denied when it %s', async (_, statement) => {
      await expect(run(statement)).rejects.toMatchObject({ code: '42501' });
    });

    it('may read its own tables', async () => {
      await run(`select from ${schema}.${table}; select from ${schema}.outbox; select from ${schema}.inbox`);
    });
  });
}

function describeRequests(service: Running, { path }: Options): void {
  describe('its API', () => {
    it('rejects null in a body wherever its document does not allow it, and points to it', async () => {
      const { accepted, places } = await sendNulls(service());

      expect(accepted).toEqual([]);
      expect(places).toBeGreaterThan(1);
    });

    it.each([
      ['an unknown parameter', '?nonsense=1', 'nonsense'],
      ['an unknown parameter that is given twice', '?nonsense=1&nonsense=2', 'nonsense'],
      ['an unknown parameter without a value', '?nonsense', 'nonsense'],
      ['an invalid escape', '?cursor=%zz', 'cursor'],
      ['an escape that is cut off', '?cursor=%4', 'cursor'],
      ['an escaped byte that is not UTF-8', '?cursor=%ff', 'cursor'],
      ['an escaped surrogate', '?cursor=%ed%a0%80', 'cursor'],
      ['a malformed escape in a name', '?%zz=1', '%zz'],
    ])('rejects %s in every query, and names it', async (_, query, parameter) => {
      const accepted: unknown[] = [];
      for (const request of requestsTo(service())) {
        const answer = await sendTo(service(), request, query, request.body);
        if (!isRejected(answer, { parameter })) accepted.push([request.method, request.path, answer.status]);
      }

      expect(accepted).toEqual([]);
    });

    it.each(['/health', '/health/live', '/health/ready', '/health/messaging', '/metrics', '/docs', '/openapi.json'])(
      'ignores the query of %s',
      async (path) => {
        const get = () => caller(service().url, {}).get(`${path}?nonsense=1&nonsense=2&escape=%zz`);

        // A part of messaging may report only now that its last statement failed in the outage above.
        const { status } = await until('it is answered', async () => {
          const answer = await get();
          return answer.status !== 503 && answer;
        });

        expect(status).toBe(200);
      },
    );

    it('identifies the caller before it validates the query', async () => {
      expectProblem(await service().caller({}).get(`${path}?nonsense=%zz`), 401, 'caller-unknown');
    });
  });
}

function describeDocumentation(service: Running): void {
  describe('its documentation', () => {
    it('is a readable page and a document', async () => {
      const anyone = caller(service().url, {});

      const page = await anyone.get('/docs');
      const document = await anyone.get('/openapi.json');

      expect(page).toMatchObject({ status: 200, body: expect.stringContaining(service().openApi.title) });
      expect(page.headers.get('content-type')).toMatch(/^text\/html/);
      expect(document.headers.get('content-type')).toMatch(/^application\/json/);
      expect(document).toMatchObject({ status: 200, body: { info: { title: service().openApi.title } } });
      expect(document.body).toEqual(JSON.parse(JSON.stringify(openApiDocument(service().app, service().openApi))));
    });

    it('is complete', () => {
      expect(openApiGaps(openApiDocument(service().app, service().openApi))).toEqual([]);
    });

    it('is valid OpenAPI', async () => {
      expect(await openApiErrors(openApiDocument(service().app, service().openApi))).toBeUndefined();
    });

    testEventPage(() => service().url);

    it('describes every answer that these tests got', () => {
      expect(service().undocumented()).toEqual([]);
    });
  });
}

function requestsTo({ app, openApi }: InProcessService): DescribedRequest[] {
  return describedRequests(openApiDocument(app, openApi));
}

/** Sends every body with null wherever the document does not allow it. Returns what was accepted, and how many places there were. */
async function sendNulls(service: InProcessService) {
  const accepted: unknown[] = [];
  let places = 0;
  // A webhook is rejected before it is parsed, because it is not signed.
  for (const request of requestsTo(service).filter((one) => !one.path.startsWith('/webhooks'))) {
    for (const { pointer, body } of request.withNull) {
      const answer = await sendTo(service, request, '', body);
      places++;
      if (!isRejected(answer, { pointer })) accepted.push([request.method, request.path, pointer, answer.status]);
    }
  }
  return { accepted, places };
}

function sendTo(service: InProcessService, { method, path }: DescribedRequest, query: string, body: unknown) {
  // An admin is also an operator.
  const admin = service.caller({ 'x-user-id': 'root', 'x-roles': 'admin' });
  return admin.send(method, `${path}${query}`, body === null ? 'null' : body);
}

function isRejected({ status, body }: Answer, place: object): boolean {
  return status === 400 && JSON.stringify(body.errors).includes(JSON.stringify(place).slice(1, -1));
}
