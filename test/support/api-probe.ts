import { deepEqual } from 'node:assert/strict';
import { type Answer } from './http.js';
import { type InProcessService } from './in-process.js';
import { type DescribedApi, type Operation, type Schema } from './openapi.js';
import { type GeneratedRequest, type Known } from './openapi-requests.js';

const MISSING_ID = '01939d3c-0000-7000-8000-000000000000';

export interface ProbeOptions {
  readonly service: InProcessService;
  /** The customer who owns the existing resources. */
  readonly owner: string;
  /** Ids of existing resources, by path parameter. */
  readonly known: Known;
  /** Returns the headers that authenticate a body, for routes that need them. */
  readonly sign?: (path: string, body: string) => Record<string, string>;
}

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

/** Sends requests to a service, compares the answers with its OpenAPI document, and remembers which answers it saw. */
export class ApiProbe {
  readonly api: DescribedApi;
  /** Such as `GET /orders 200` and `GET /orders caller-unknown`. */
  private readonly seen = new Set<string>();

  constructor(private readonly options: ProbeOptions) {
    this.api = options.service.api();
  }

  /** Describes how the answer to a generated request differs from what the document says about the request, if it does. */
  async differenceOf(request: GeneratedRequest): Promise<string | undefined> {
    const { operation, path, body = '', invalid } = request;
    const { status } = await this.send({ ...request, method: operation.method, headers: this.headersOf(request) });
    const isInvalid = invalid.length > 0;
    if ((status === 400) === isInvalid && status !== 500) return undefined;
    const verdict = isInvalid ? `invalid: ${invalid.join('; ')}` : 'valid';
    return `${operation.method} ${path} ${body} is answered with ${status}, but is ${verdict}`;
  }

  /** Sends each operation valid requests by each caller, and requests that all routes reject alike. */
  async sendGeneralRequests(): Promise<void> {
    for (const operation of this.api.operations)
      for (const sent of this.generalRequests(operation)) this.note(await this.send(sent));
  }

  /** Sends a valid request to every operation at once. */
  async sendValidRequests(): Promise<void> {
    await Promise.all(
      this.api.operations.map(async (operation) => {
        const headers = this.headersOf({ operation, headers: {} });
        this.note(await this.send({ ...this.valid(operation), headers }));
      }),
    );
  }

  /** Returns the documented answers that neither this probe nor any other client has got from the service. */
  unseen(): string[] {
    for (const answer of this.options.service.answers) this.note(answer);
    return this.api.operations.flatMap(documented).filter((name) => !this.seen.has(name));
  }

  private note(answer: Answer): void {
    const operation = this.api.operationOf(answer.method, answer.path.replace(/[?#].*/s, ''));
    const type = (answer.body as { readonly type?: string } | undefined)?.type ?? '';
    if (!operation) return;
    this.seen.add(`${operation.name} ${answer.status}`);
    this.seen.add(`${operation.name} ${type.split(':').at(-1)}`);
  }

  /** Of a stream, only the headers are read. */
  private async send({ method, path, headers = {}, body }: Sent): Promise<Answer> {
    const { service, sign } = this.options;
    const response = await fetch(service.url + path, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
        ...sign?.(path, body ?? ''),
      },
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
    deepEqual(this.api.gapsOf(answer), []);
    return answer;
  }

  private headersOf({ operation, headers }: Pick<GeneratedRequest, 'operation' | 'headers'>): Record<string, string> {
    const needsRole = operation.security.length > 0 && operation.security.every((each) => 'roles' in each);
    return { ...(needsRole ? ADMIN : this.owner), ...headers };
  }

  private get owner() {
    return { 'x-user-id': this.options.owner };
  }

  private valid(operation: Operation, ids = this.options.known): Sent {
    const schema = operation.requestBody?.content['application/json']?.schema;
    const path = operation.template.replaceAll(
      /\{(\w+)\}/g,
      (_, name: string) => ids[name]?.[0] ?? this.missing(operation, name),
    );
    const required = operation.parameters.filter((one) => one.in === 'query' && one.required);
    const query = new URLSearchParams();
    for (const { name, schema: values } of required) query.append(name, String(values['example']));
    const url = query.size > 0 ? `${path}?${query.toString()}` : path;
    return { method: operation.method, path: url, body: schema && JSON.stringify(exampleOf(this.api, schema)) };
  }

  /** Returns a valid value of a path parameter: an id that does not exist, or the documented example of anything else. */
  private missing(operation: Operation, name: string): string {
    const { schema } = operation.parameters.find((one) => one.in === 'path' && one.name === name) ?? {};
    const isOurId = schema?.['format'] === 'uuid' || name.endsWith('Id');
    return isOurId ? MISSING_ID : String(schema?.['example']);
  }

  private generalRequests(operation: Operation): Sent[] {
    const good = this.valid(operation);
    const { method } = operation;
    const path = (replacement: string) => operation.template.replaceAll(/\{\w+\}/g, replacement);
    const callers = [this.owner, OPERATOR, ADMIN, { ...this.owner, 'x-roles': 'customer,operator' }];
    return callers.flatMap((headers): Sent[] => [
      { ...good, headers: { ...headers, 'if-match': '"999"' } },
      { ...this.valid(operation, {}), headers },
      { method, path: path('X'), headers, body: good.body },
      { method, path: path('%zz'), headers, body: good.body },
      { method, path: `${good.path}${good.path.includes('?') ? '&' : '?'}limit=0&unknown=1`, headers, body: good.body },
      { ...good, headers: { ...headers, 'last-event-id': 'x'.repeat(300) } },
      { ...good, headers: { ...headers, ...TOO_MANY_HEADERS } },
      ...(method === 'GET' ? [] : invalidBodies(good, headers)),
      { ...good, headers },
      good,
    ]);
  }
}

const TOO_MANY_HEADERS = Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`x-${n}`, 'x']));
const OPERATOR = { 'x-user-id': 'ops', 'x-roles': 'operator' };
const ADMIN = { 'x-user-id': 'root', 'x-roles': 'admin' };

function invalidBodies(good: Sent, headers: Readonly<Record<string, string>>): Sent[] {
  return [
    { ...good, body: '{"unknown":1}', headers },
    { ...good, body: '{', headers },
    { ...good, body: `"${'x'.repeat(200_000)}"`, headers },
    { ...good, body: 'x', headers: { ...headers, 'content-type': 'text/plain' } },
    { ...good, headers: { ...headers, 'idempotency-key': 'ü' } },
  ];
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
