import fc from 'fast-check';
import { DescribedApi, type Operation, type Parameter, type Schema } from './openapi.js';

/** A request that conforms to the document, or nearly does. */
export interface GeneratedRequest {
  readonly operation: Operation;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON, or undefined for no body. */
  readonly body: string | undefined;
  /** The parts that violate the document. A valid request has none. */
  readonly invalid: readonly string[];
}

/** Values of path parameters that exist in the service, by the parameters' names. */
export type Known = Readonly<Record<string, readonly string[]>>;

/**
 * Generates requests from the schemas of a document: valid ones, valid ones with a change that may make them invalid, and nonsense. It
 * leaves out values whose validity only the service knows: made-up cursors and event ids, prices in former currencies, and searches for
 * many words.
 */
export function requestsOf(api: DescribedApi, known: Known): fc.Arbitrary<GeneratedRequest> {
  const ofEach = api.operations.map((operation) =>
    fc
      .record({
        parameters: fc.tuple(...operation.parameters.map((parameter) => textsOf(api, parameter, known))),
        body: bodyOf(api, operation),
      })
      .map(({ parameters, body }) => requestOf(api, operation, parameters, body)),
  );
  return fc.oneof(...ofEach);
}

/** The values of a parameter: none if it is absent, several if it is repeated. */
type Texts = readonly string[];

function requestOf(
  api: DescribedApi,
  operation: Operation,
  texts: readonly Texts[],
  body: { readonly value?: unknown },
): GeneratedRequest {
  let path = operation.template;
  const query = new URLSearchParams();
  const headers: Record<string, string> = {};
  const invalid: string[] = [];
  for (const [index, parameter] of operation.parameters.entries()) {
    const given = texts[index] ?? [];
    if (!isValid(api, parameter, given)) invalid.push(`${parameter.name}: ${JSON.stringify(given)}`);
    if (parameter.in === 'path') path = path.replace(`{${parameter.name}}`, encodeURIComponent(given[0] ?? ''));
    else if (parameter.in === 'query') for (const text of given) query.append(parameter.name, text);
    else if (given[0] !== undefined) headers[parameter.name] = given[0];
  }
  const { required, content } = operation.requestBody ?? { required: false, content: undefined };
  const schema = content?.['application/json']?.schema;
  const isBodyValid = body.value === undefined ? !required : !schema || api.meets(schema, body.value);
  if (!isBodyValid) invalid.push(`body: ${JSON.stringify(body.value)}`);
  return {
    operation,
    path: query.size > 0 ? `${path}?${query.toString()}` : path,
    headers,
    body: body.value === undefined ? undefined : JSON.stringify(body.value),
    invalid,
  };
}

function isValid(api: DescribedApi, { required, schema }: Parameter, texts: Texts): boolean {
  if (texts.length === 0) return !required;
  if (schema['type'] === 'array') return api.meets(schema, texts);
  return texts.length === 1 && api.meets(schema, valueIn(schema, texts[0] ?? ''));
}

/** Converts a text to the type that the schema expects. */
function valueIn({ type }: Schema, text: string): unknown {
  if (type === 'integer') return /^-?(0|[1-9]\d*)$/.test(text) ? Number(text) : text;
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
  return text;
}

function textsOf(
  api: DescribedApi,
  { name, in: where, required, schema }: Parameter,
  known: Known,
): fc.Arbitrary<Texts> {
  const nonsense = where === 'header' ? HEADER_NONSENSE : where === 'path' ? PATH_NONSENSE : QUERY_NONSENSE;
  const isOpaque = ['cursor', 'event-id', 'http-date'].includes(String(schema['format']));
  const valid = isOpaque
    ? []
    : [{ weight: 6, arbitrary: valuesOf(api, schema).map((value) => [value].flat().map(String)) }];
  const existing = (known[name] ?? []).map((id) => [id]);
  const texts = fc.oneof(
    ...valid,
    ...(existing.length > 0 ? [{ weight: 6, arbitrary: fc.constantFrom(...existing) }] : []),
    ...(required ? [] : [{ weight: 8, arbitrary: fc.constant([]) }]),
    ...(isOpaque ? [] : [{ weight: 1, arbitrary: nonsense.map((text) => [text]) }]),
    ...(where === 'query' && !isOpaque
      ? [{ weight: 1, arbitrary: fc.array(nonsense, { minLength: 2, maxLength: 3 }) }]
      : []),
  );
  return name === SEARCH ? texts.filter((given) => given.every(hasFewWords)) : texts;
}

/** The parameter with a limited number of words, which a schema cannot express. */
const SEARCH = 'q';

/** Whether the text certainly has at most ten different words, which is the limit. Some words are counted twice. */
function hasFewWords(text: string): boolean {
  return (text.normalize('NFKC').match(/[\p{Lu}\p{Ll}\p{Lo}\p{N}]+/gu)?.length ?? 0) <= 10;
}

const QUERY_NONSENSE = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    'x',
    '-1',
    '0',
    '1e1',
    '0x10',
    '+5',
    ' 5',
    '1.0',
    '99999999999999999999',
    'null',
    'true',
    '\0',
  ),
  fc.constantFrom('2026-02-30', '2026-11-21T25:00:00Z', '2026-11-21T12:00:00', 'é', '🍵', '[]', '{}', 'x'.repeat(2000)),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
/** Excludes empty segments, and segments of dots, which fetch would resolve. */
const PATH_NONSENSE = QUERY_NONSENSE.filter((text) => text !== '' && !/^\.+$/.test(text));
/** Trimmed, because surrounding white space is not part of a header's value. */
const HEADER_NONSENSE = fc
  .oneof(
    fc.constantFrom('x', '"x"', '"1', '1', '*', 'W/"1"', '"1", "2"', '"01"', 'x'.repeat(300)),
    fc.stringMatching(/^[ -~]*$/),
  )
  .map((text) => text.trim());

function bodyOf(api: DescribedApi, { requestBody }: Operation): fc.Arbitrary<{ readonly value?: unknown }> {
  const schema = requestBody?.content['application/json']?.schema;
  if (!schema) return fc.constant({});
  const valid = valuesOf(api, schema);
  return fc.oneof(
    { weight: 5, arbitrary: valid.map((value) => ({ value })) },
    {
      weight: 5,
      arbitrary: fc.tuple(valid, fc.nat(), NONSENSE).map(([value, at, by]) => ({ value: changed(value, at, by) })),
    },
    { weight: 1, arbitrary: NONSENSE.map((value) => ({ value })) },
    { weight: 1, arbitrary: fc.constant({}) },
  );
}

const NONSENSE = fc.oneof(
  fc.constantFrom<unknown>(null, '', ' ', 'x', '\0', 'x'.repeat(1000), 0, -1, 1, 1.5, 1e19, 1e300, true, [], [[]], {}, [
    {},
  ]),
  fc.jsonValue({ maxDepth: 2 }),
);

/** Returns the value with one place replaced, removed or added. */
function changed(value: unknown, at: number, by: unknown): unknown {
  const copy: unknown = structuredClone(value);
  const places: (() => void)[] = [];
  const visit = (here: unknown): void => {
    if (typeof here !== 'object' || here === null) return;
    const object = here as Record<string, unknown>;
    for (const key of Object.keys(object)) {
      places.push(() => (object[key] = by));
      if (!Array.isArray(here)) places.push(() => delete object[key]);
      visit(object[key]);
    }
    if (Array.isArray(here)) places.push(() => here.push(by));
    else places.push(() => (object['unknown'] = by));
  };
  visit(copy);
  places[at % Math.max(places.length, 1)]?.();
  return copy;
}

/** Generates values that usually match the schema; the caller checks whether they do. */
function valuesOf(api: DescribedApi, given: Schema): fc.Arbitrary<unknown> {
  const schema = resolved(api, given);
  if ('const' in schema) return fc.constant(schema['const']);
  const values = schema['enum'] as unknown[] | undefined;
  if (values) return fc.constantFrom(...values);
  const variants = (schema['oneOf'] ?? schema['anyOf']) as Schema[] | undefined;
  if (variants && !('properties' in schema)) {
    const decidable = variants.filter(({ format }) => format !== 'former-currency');
    // A variant adds to what all variants have in common.
    const common = { ...schema, oneOf: undefined, anyOf: undefined };
    return fc.oneof(...decidable.map((variant) => valuesOf(api, { ...common, ...resolved(api, variant) })));
  }
  const [type = 'null', ...others] = [schema['type'] as string | undefined].flat();
  if (others.length > 0) {
    return fc.oneof(...[type, ...others].map((each) => valuesOf(api, { ...schema, type: each })));
  }
  switch (type) {
    case 'string':
      return textOf(schema);
    case 'integer':
      return integerOf(schema);
    case 'boolean':
      return fc.boolean();
    case 'array': {
      const { minItems, maxItems } = schema as { readonly minItems?: number; readonly maxItems?: number };
      return fc.array(valuesOf(api, (schema['items'] ?? {}) as Schema), {
        minLength: minItems ?? 0,
        maxLength: Math.min(maxItems ?? 5, 5),
      });
    }
    case 'object':
      return objectOf(api, schema);
    default:
      return fc.constant(null);
  }
}

function objectOf(api: DescribedApi, schema: Schema): fc.Arbitrary<unknown> {
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>);
  return fc.record(Object.fromEntries(properties.map(([name, property]) => [name, valuesOf(api, property)])), {
    requiredKeys: ((schema['required'] ?? []) as string[]).filter((name) => properties.some(([key]) => key === name)),
  });
}

function integerOf({ minimum, maximum }: Schema): fc.Arbitrary<number> {
  return fc.integer({
    min: (minimum as number | undefined) ?? -1000,
    max: (maximum as number | undefined) ?? Number.MAX_SAFE_INTEGER,
  });
}

function textOf({ pattern, format, minLength, maxLength }: Schema): fc.Arbitrary<string> {
  const time = fc.date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true });
  if (format === 'date-time') return time.map((date) => date.toISOString());
  if (format === 'date') return time.map((date) => date.toISOString().slice(0, 10));
  const text = fc.string({
    unit: 'binary',
    minLength: (minLength as number | undefined) ?? 0,
    maxLength: (maxLength as number | undefined) ?? 100,
  });
  // A pattern that excludes a character describes free text.
  if (typeof pattern !== 'string' || pattern.includes('[^')) return text;
  return fc.stringMatching(new RegExp(pattern));
}

function resolved(api: DescribedApi, schema: Schema): Schema {
  const name = (schema['$ref'] as string | undefined)?.split('/').at(-1);
  return (name === undefined ? undefined : api.schemas[name]) ?? schema;
}
