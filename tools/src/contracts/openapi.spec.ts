import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SERVICES } from '@twinbox/migrations/services';
import { root } from '../checkout.js';
import { goTool, runsGo } from '../go-tools.js';
import { breakingChanges } from './openapi-changes.js';

const folder = join(root, 'libs/contracts/openapi');
const names = SERVICES.map(({ schema }) => `${schema}.json`);

type Part = Record<string, unknown>;
type Change = (document: Part) => void;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'openapi-'));
});
afterAll(() => rm(directory, { recursive: true }));

/** Writes the document of order-service with these changes, and returns its path. */
async function changed(name: string, changes: readonly Change[]): Promise<string> {
  const document = JSON.parse(await readFile(join(folder, 'orders.json'), 'utf8')) as Part;
  for (const change of changes) change(document);
  const path = join(directory, name);
  await writeFile(path, JSON.stringify(document));
  return path;
}

const part = (document: Part, ...keys: readonly string[]) => keys.reduce((value, key) => value[key] as Part, document);
const list = (document: Part, ...keys: readonly string[]) => part(document, ...keys) as unknown as unknown[];
const schema = (document: Part, name: string) => part(document, 'components', 'schemas', name);
const property = (document: Part, name: string, field: string) => part(schema(document, name), 'properties', field);
const operation = (document: Part, path: string, method: string) => part(document, 'paths', path, method);
const parameter = (document: Part, name: string) =>
  list(operation(document, '/orders', 'get'), 'parameters').find((each) => (each as Part)['name'] === name) as Part;

describe('the rules for OpenAPI documents', () => {
  it('are satisfied by both documents, without a warning, and violated by a document without names and client errors', async () => {
    const invalid = await changed('invalid.json', [
      (document) => (operation(document, '/orders', 'post')['operationId'] = 'OrdersController_open'),
      (document) => (schema(document, 'Order')['example'] = { id: 17 }),
      (document) => (part(document, 'paths', '/health/live', 'get')['responses'] = { 200: { description: 'Done.' } }),
    ]);

    const found = await problemsOf([...names.map((name) => join(folder, name)), invalid]);

    expect(found.filter(({ file }) => file !== 'invalid.json')).toEqual([]);
    expect(new Set(found.map(({ ruleId }) => ruleId))).toEqual(
      new Set(['rule/operation-id-is-a-name', 'no-invalid-schema-examples', 'operation-4xx-response']),
    );
  });
});

interface LintResult {
  readonly problems: readonly {
    readonly ruleId: string;
    readonly location: readonly [{ readonly source: { readonly ref: string } }];
  }[];
}

/** Returns what redocly reports about the documents. */
async function problemsOf(paths: readonly string[]): Promise<{ readonly ruleId: string; readonly file: string }[]> {
  const args = ['lint', '--config', join(root, 'tools/redocly.yaml'), '--format', 'json', ...paths];
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  const stdout = await promisify(execFile)(join(root, 'node_modules/.bin/redocly'), args, { env }).then(
    (result) => result.stdout,
    (error: { readonly stdout: string }) => error.stdout,
  );
  // It prints one JSON text for each document.
  const results = stdout.split(/(?<=^\})(?=\{)/m).map((text) => JSON.parse(text) as LintResult);
  return results
    .flatMap(({ problems }) => problems)
    .map(({ ruleId, location: [{ source }] }) => ({ ruleId, file: source.ref.replace(/.*\//, '') }));
}

/** By the id that oasdiff gives the change. */
const FORBIDDEN: Readonly<Record<string, Change>> = {
  'api-path-removed-without-deprecation': (document) => delete part(document, 'paths')['/orders/{orderId}/finish'],
  'api-removed-without-deprecation': (document) => delete part(document, 'paths', '/orders/{orderId}')['get'],
  'api-operation-id-removed': (document) => (operation(document, '/orders', 'post')['operationId'] = 'openOrder'),
  'response-required-property-removed': (document) => {
    delete part(schema(document, 'Order'), 'properties')['total'];
    list(schema(document, 'Order'), 'required').splice(list(schema(document, 'Order'), 'required').indexOf('total'), 1);
  },
  'response-property-became-optional': (document) => delete schema(document, 'PriceChangedProblem')['required'],
  'response-property-type-changed': (document) => (property(document, 'Product', 'price')['type'] = 'string'),
  'response-property-enum-value-added': (document) => list(property(document, 'Order', 'status'), 'enum').push('LOST'),
  'new-required-request-property': (document) => {
    part(schema(document, 'PutProduct'), 'properties')['weight'] = { type: 'integer' };
    list(schema(document, 'PutProduct'), 'required').push('weight');
  },
  'request-property-removed': (document) => delete part(schema(document, 'NewOrder'), 'properties')['description'],
  'request-property-max-length-decreased': (document) => (property(document, 'CancelOrder', 'reason')['maxLength'] = 1),
  'request-parameter-removed': (document) => (parameter(document, 'createdFrom')['name'] = 'from'),
  'request-parameter-enum-value-removed': (document) => list(parameter(document, 'sort'), 'schema', 'enum').pop(),
  'new-required-request-parameter': (document) =>
    list(operation(document, '/products', 'get'), 'parameters').push({
      name: 'shop',
      in: 'query',
      required: true,
      schema: { type: 'string' },
    }),
};

const ALLOWED: readonly Change[] = [
  (document) => (part(document, 'paths')['/orders/{orderId}/gift'] = operationTo('giveOrder')),
  (document) => {
    part(schema(document, 'Order'), 'properties')['gift'] = { type: 'boolean' };
    list(schema(document, 'Order'), 'required').push('gift');
  },
  (document) => (part(schema(document, 'NewOrder'), 'properties')['gift'] = { type: 'boolean' }),
  (document) => list(parameter(document, 'sort'), 'schema', 'enum').push('gift'),
  (document) => (property(document, 'CancelOrder', 'reason')['maxLength'] = 10_000),
  (document) =>
    list(operation(document, '/orders', 'get'), 'parameters').push({
      name: 'gift',
      in: 'query',
      schema: { type: 'boolean' },
    }),
  (document) => addProblem(document, part(operation(document, '/orders', 'post'), 'responses', '409')),
  (document) => addProblem(document, part(operation(document, '/orders/{orderId}', 'get'), 'responses', '404')),
];

const operationTo = (operationId: string) => ({
  post: { operationId, responses: { 200: { description: 'Done.' }, 400: { description: 'Not done.' } } },
});

/** Adds a problem to a response as `ApiProblems` would. */
function addProblem(document: Part, response: Part): void {
  const added = { $ref: '#/components/schemas/GiftRefusedProblem' };
  part(document, 'components', 'schemas')['GiftRefusedProblem'] = {
    allOf: [{ $ref: '#/components/schemas/Problem' }],
    properties: { type: { const: 'urn:twinbox:problem:gift-refused' } },
  };
  const content = part(response, 'content', 'application/problem+json');
  const { oneOf = [content['schema']], discriminator } = part(content, 'schema');
  content['schema'] = {
    oneOf: [...(oneOf as unknown[]), added],
    ...(discriminator !== undefined && { discriminator }),
  };
}

const describeWithGo = runsGo ? describe : describe.skip;

describeWithGo('a change to an API, with Go,', () => {
  beforeAll(() => goTool('oasdiff'), 300_000);

  it('is compatible with the released document', async () => {
    const changes = await Promise.all(
      names.map((name) => breakingChanges(join(folder, 'released', name), join(folder, name))),
    );

    expect(changes.flat()).toEqual([]);
  });

  it('is refused if it breaks a client', async () => {
    const after = await changed('breaking.json', Object.values(FORBIDDEN));

    const changes = await breakingChanges(join(folder, 'orders.json'), after);

    expect(new Set(changes.map(({ id }) => id))).toEqual(new Set(Object.keys(FORBIDDEN)));
  });

  it('may add operations, parameters, members and problems, and accept more', async () => {
    const after = await changed('compatible.json', ALLOWED);

    expect(await breakingChanges(join(folder, 'orders.json'), after)).toEqual([]);
  });
});
