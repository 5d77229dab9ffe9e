import { request } from 'node:http';
import { openApiDocument } from '@twinbox/api-kit';
import { type OpenApiDocument, worstInputs } from '@twinbox/tools';
import { type Answer, expectProblem } from './http.js';
import { type InProcessService } from './in-process.js';
import { type RoutedPath, routedPaths } from './routes.js';
import { countVisits } from './visits.js';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
const OTHERS = ['TRACE', 'PROPFIND', 'PURGE'];
const UUID = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';
const MAX_VISITS = 1000;
const MAX_PROBLEM_LENGTH = 20_000;

interface EdgeOptions {
  readonly start: () => Promise<InProcessService>;
  /** The headers of a caller who may use the route. */
  readonly headersFor: (route: string, body: string) => Record<string, string>;
}

/** Tests the HTTP edge on every route. The routes are taken from the router and the document, so that new routes are tested too. */
export function describeEdge(options: EdgeOptions): void {
  let service: InProcessService;
  beforeAll(async () => {
    service = await options.start();
  });
  afterAll(() => service.stop());

  describe('every path', () => {
    it('answers OPTIONS with its methods, and any other method with 405', async () => {
      const paths = routedPaths(service.app);
      const documented = Object.keys(openApiDocument(service.app, service.openApi).paths);

      expect(paths.map(({ pattern }) => pattern)).toEqual(
        expect.arrayContaining([
          ...documented.map((path) => path.replaceAll(/\{(\w+)\}/g, ':$1')),
          '/docs',
          '/openapi.json',
          '/metrics',
        ]),
      );
      for (const path of paths) await expectMethodsOf(path, service);
    });

    it('supports HEAD wherever it supports GET', async () => {
      for (const { pattern, methods } of routedPaths(service.app)) {
        if (!methods.includes('GET')) continue;
        const path = pattern.replaceAll(/:\w+/g, UUID).replace('*', 'x');

        const [got, head] = [await send(service, 'GET', path), await send(service, 'HEAD', path)];

        expect({ path, status: head.status }).toEqual({ path, status: got.status });
        expect(head.body).toBe('');
        expect(head.headers.get('content-type')).toBe(got.headers.get('content-type'));
      }
    });
  });

  describeWorstInputs(() => service, options.headersFor);
}

async function expectMethodsOf({ pattern, methods }: RoutedPath, service: InProcessService): Promise<void> {
  const path = pattern.replaceAll(/:\w+/g, UUID).replace('*', 'x');
  const answer = await send(service, 'OPTIONS', path);
  expect(answer).toMatchObject({ status: 204, body: '' });
  const allowed = answer.headers.get('allow')?.split(', ') ?? [];
  expect(allowed).toEqual(expect.arrayContaining([...methods, 'OPTIONS']));
  expect(answer.headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/);

  for (const method of [...METHODS, ...OTHERS].filter((each) => !allowed.includes(each))) {
    const refused = await send(service, method, `${path}?x=1`);
    if (method === 'HEAD') expect(refused.status).toBe(405);
    else expectProblem(refused, 405, 'method-not-allowed');
    expect(refused.headers.get('allow')).toBe(allowed.join(', '));
  }
}

function describeWorstInputs(service: () => InProcessService, headersFor: EdgeOptions['headersFor']): void {
  describe('the most expensive input', () => {
    it('P7 is rejected after at most 1,000 values on every route', async () => {
      const { app, openApi } = service();
      const document = JSON.parse(JSON.stringify(openApiDocument(app, openApi))) as OpenApiDocument;
      const inputs = worstInputs(document);
      const visits = countVisits();
      const failures: string[] = [];

      expect(new Set(inputs.map(({ method, route }) => `${method} ${route}`))).toEqual(
        new Set(
          Object.entries(document.paths).flatMap(([route, methods]) =>
            Object.keys(methods).map((method) => `${method.toUpperCase()} ${route}`),
          ),
        ),
      );
      for (const { method, route, path, body, what, isExcessive } of inputs) {
        const headers = { ...headersFor(route, body ?? ''), ...(body && { 'content-type': 'application/json' }) };

        const answer = await send(service(), method, path, headers, body);

        const visited = visits.taken();
        const { status } = answer;
        const isExcessiveHere = isExcessive && !(route.startsWith('/health') && body === undefined);
        const isRefused = status === 400 && answer.headers.get('content-type') === 'application/problem+json';
        const isBrief = JSON.stringify(answer.body).length < MAX_PROBLEM_LENGTH;
        if (visited > MAX_VISITS || status >= 500 || (isExcessiveHere && !isRefused) || (status >= 400 && !isBrief))
          failures.push(`${method} ${route}: ${what}: ${status}, ${visited} values`);
        if (failures.length === 5) break;
      }
      visits.stop();
      expect(failures).toEqual([]);
    });
  });
}

function send(
  { url }: InProcessService,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string,
): Promise<Answer> {
  return exchange(new URL(path, url), method, headers, body);
}

/** Sends a request that fetch would refuse to send. */
function exchange(url: URL, method: string, headers: Record<string, string>, body = ''): Promise<Answer> {
  const length = body === '' ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers: { ...headers, ...length } }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      response.once('error', reject);
      response.once('end', () => {
        const { statusCode: status = 0 } = response;
        const named = Object.entries(response.headers).map(
          ([name, value]) => [name, String(value)] as [string, string],
        );
        const isProblem = response.headers['content-type'] === 'application/problem+json' && text !== '';
        const answer = { method, path: url.pathname, status, headers: new Headers(named) };
        resolve({ ...answer, body: isProblem ? (JSON.parse(text) as unknown) : text });
      });
    });
    sent.once('error', reject);
    sent.end(body);
  });
}
