import fc from 'fast-check';
import { type Answer } from './http.js';
import { cutOff, type InProcessService } from './in-process.js';
import { type DescribedApi, type Operation, type Schema } from './openapi.js';
import { type GeneratedRequest, type Known, requestsOf } from './openapi-requests.js';

const MISSING_ID = '01939d3c-0000-7000-8000-000000000000';

/** The seed is fixed, so that a failure is caused by the change under test. */
const GENERATED = { numRuns: 1000, seed: 20_261_129 };

export interface DescribedSetting {
  readonly service: InProcessService;
  /** The service's database schema. */
  readonly schema: string;
  /** The customer who owns the existing resources. */
  readonly owner: string;
  /** Ids of existing resources, by path parameter. */
  readonly known: Known;
  /** Returns the headers that authenticate a body, for routes that need them. */
  readonly sign?: (path: string, body: string) => Record<string, string>;
  /** Provokes the answers that no general request gets, keyed by name, such as `POST /orders price-changed`. */
  readonly particular: Readonly<Record<string, () => Promise<unknown>>>;
  /** Answers that occur, but cannot be provoked here. */
  readonly elsewhere: RegExp;
}

/** The number of connections that the service has. */
const CONCURRENCY = 8;

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

/** Tests that a service behaves as its OpenAPI document describes. */
export function describeOpenApi(start: () => Promise<DescribedSetting>): void {
  let setting: DescribedSetting;
  let api: DescribedApi;
  /** The answers seen, such as `GET /orders 200` and `GET /orders caller-unknown`. */
  const seen = new Set<string>();
  beforeAll(async () => {
    setting = await start();
    api = setting.service.api();
  });
  afterAll(() => setting.service.stop());

  const asOwner = () => ({ 'x-user-id': setting.owner });
  const asOperator = () => ({ 'x-user-id': 'ops', 'x-roles': 'operator' });

  /** Sends a request. Of a stream, only the headers are read. */
  async function send({ method, path, headers = {}, body }: Sent): Promise<Answer> {
    const signed = setting.sign?.(path, body ?? '') ?? {};
    const response = await fetch(setting.service.url + path, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers, ...signed },
      ...(body !== undefined && { body }),
      signal: AbortSignal.timeout(20_000),
    });
    const { status } = response;
    const mediaType = response.headers.get('content-type') ?? '';
    if (mediaType.startsWith('text/event-stream')) await response.body?.cancel();
    const text = response.bodyUsed ? '' : await response.text();
    const answer = {
      method,
      path,
      status,
      headers: response.headers,
      body: /json/.test(mediaType) ? JSON.parse(text) : text,
    };
    expect(api.gapsOf(answer)).toEqual([]);
    return answer;
  }

  it('rejects exactly the requests that its document excludes, among 1,000 generated ones', async () => {
    const requests = fc.sample(requestsOf(api, setting.known), GENERATED);

    const differences: string[] = [];
    while (requests.length > 0) {
      const some = await Promise.all(requests.splice(0, CONCURRENCY).map(differenceOf));
      differences.push(...some.filter((difference) => difference !== undefined));
    }

    expect(differences).toEqual([]);
  });

  async function differenceOf(request: GeneratedRequest): Promise<string | undefined> {
    const { status } = await send({ ...request, method: request.operation.method, ...callerOf(request) });
    const isInvalid = request.invalid.length > 0;
    if ((status === 400) === isInvalid && status !== 500) return undefined;
    const verdict = isInvalid ? `invalid: ${request.invalid.join('; ')}` : 'valid';
    return `${request.operation.method} ${request.path} ${request.body ?? ''} is answered with ${status}, but is ${verdict}`;
  }

  function callerOf({ operation, headers }: GeneratedRequest): { readonly headers: Record<string, string> } {
    const needsRole = operation.security.length > 0 && operation.security.every((each) => 'roles' in each);
    return { headers: { ...(needsRole ? asOperator() : asOwner()), ...headers } };
  }

  it('gives every success and every problem that its document names', async () => {
    for (const operation of api.operations) {
      for (const sent of generalRequests(operation)) await shoot(sent);
    }
    for (const provoke of Object.values(setting.particular)) await provoke();
    const { schema, service } = setting;
    await service.database.sql(`alter schema ${schema} rename to elsewhere`);
    await shootAll();
    await service.database.sql(`alter schema elsewhere rename to ${schema}`);
    const restore = await cutOff(service.database);
    await shootAll();
    await restore();

    for (const answer of service.answers) for (const what of namesOf(answer)) seen.add(what);
    const missing = api.operations
      .flatMap(documented)
      .filter((what) => !seen.has(what) && !setting.elsewhere.test(what));
    expect(missing).toEqual([]);
    expect(service.undocumented()).toEqual([]);
  });

  function namesOf(answer: Answer): string[] {
    const operation = api.operationOf(answer.method, answer.path.replace(/[?#].*/s, ''));
    const type = (answer.body as { readonly type?: string } | undefined)?.type ?? '';
    return operation ? [`${operation.name} ${answer.status}`, `${operation.name} ${type.split(':').at(-1)}`] : [];
  }

  async function shoot(sent: Sent): Promise<void> {
    for (const what of namesOf(await send(sent))) seen.add(what);
  }

  async function shootAll(): Promise<void> {
    await Promise.all(
      api.operations.map((operation) =>
        shoot({ ...valid(operation), headers: callerOf({ operation, headers: {} } as GeneratedRequest).headers }),
      ),
    );
  }

  function valid(operation: Operation, ids = setting.known): Sent {
    const schema = operation.requestBody?.content['application/json']?.schema;
    const path = operation.template.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids[name]?.[0] ?? MISSING_ID);
    return { method: operation.method, path, body: schema && JSON.stringify(exampleOf(api, schema)) };
  }

  /** For any route: valid requests by each caller, and requests that all routes reject alike. */
  function generalRequests(operation: Operation): Sent[] {
    const good = valid(operation);
    const { method } = operation;
    const path = (replacement: string) => operation.template.replaceAll(/\{\w+\}/g, replacement);
    const reads = method !== 'GET';
    return [asOwner(), asOperator(), { ...asOwner(), 'x-roles': 'customer,operator' }].flatMap((headers): Sent[] => [
      { ...good, headers: { ...headers, 'if-match': '"999"' } },
      { ...valid(operation, {}), headers },
      { method, path: path('X'), headers, body: good.body },
      { method, path: path('%zz'), headers, body: good.body },
      { method, path: `${good.path}?limit=0&unknown=1`, headers, body: good.body },
      { ...good, headers: { ...headers, 'last-event-id': 'x'.repeat(300) } },
      ...(reads
        ? [
            { ...good, body: '{"unknown":1}', headers },
            { ...good, body: '{', headers },
            { ...good, body: `"${'x'.repeat(200_000)}"`, headers },
            { ...good, body: 'x', headers: { ...headers, 'content-type': 'text/plain' } },
            { ...good, headers: { ...headers, 'idempotency-key': 'ü' } },
          ]
        : []),
      { ...good, headers },
      good,
    ]);
  }
}

function documented({ name, responses }: Operation): string[] {
  return Object.entries(responses).flatMap(([status, { content }]) => {
    const problems = Object.keys(content?.['application/problem+json']?.examples ?? {});
    return problems.length > 0 ? problems.map((code) => `${name} ${code}`) : [`${name} ${status}`];
  });
}

/** The example of a schema, composed of the examples of its parts. */
function exampleOf(api: DescribedApi, given: Schema): unknown {
  const name = (given['$ref'] as string | undefined)?.split('/').at(-1);
  const schema = (name === undefined ? undefined : api.schemas[name]) ?? given;
  if ('example' in schema) return schema['example'];
  const [variant] = (schema['oneOf'] ?? []) as Schema[];
  if (variant) return exampleOf(api, variant);
  if (schema['items']) return [exampleOf(api, schema['items'] as Schema)];
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>);
  return Object.fromEntries(properties.map(([key, property]) => [key, exampleOf(api, property)]));
}
