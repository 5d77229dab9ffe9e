/** A request that costs a service as much as a request of its size can. For tests and benchmarks. */
export interface WorstInput {
  readonly method: string;
  /** The route as in the OpenAPI document: `/orders/{orderId}`. */
  readonly route: string;
  /** The path to request, including the query. */
  readonly path: string;
  readonly body?: string;
  /** Describes what is excessive about the input. */
  readonly what: string;
  /** Whether the input has more values, or deeper nesting, than any route accepts. */
  readonly isExcessive: boolean;
}

interface Schema {
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly type?: string;
  readonly format?: string;
  readonly example?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly example?: unknown;
  readonly schema?: Schema;
}

interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content?: Readonly<Record<string, { readonly schema?: Schema }>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
}

/** The part of an OpenAPI document that is used here. */
export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

/** Just below the maximum size of a body, 100 kB. */
const BODY_BYTES = 99_000;
/** Fits into the 16 kB that Node accepts as the head of a request. */
const QUERY_BYTES = 14_000;
const UUID = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

/** Returns the worst inputs for every route of the document, with or without a body. */
export function worstInputs(document: OpenApiDocument): WorstInput[] {
  return Object.entries(document.paths).flatMap(([route, operations]) =>
    Object.entries(operations).flatMap(([method, operation]) => inputsOf(document, route, method, operation)),
  );
}

function inputsOf(document: OpenApiDocument, route: string, method: string, operation: Operation): WorstInput[] {
  const path = pathOf(route, operation);
  const common = { method: method.toUpperCase(), route };
  const queries = queriesOf(operation).map((query) => ({ ...common, ...query, path: `${path}?${query.query}` }));
  const readsBody = ['post', 'put', 'patch', 'delete'].includes(method);
  const bodies = readsBody ? bodiesOf(document, operation).map((body) => ({ ...common, ...body, path })) : [];
  // An open stream never ends, so only inputs that are rejected can be sent to one.
  const isStream = 'text/event-stream' in (operation.responses['200']?.content ?? {});
  return [...queries, ...bodies].filter(({ isExcessive }) => isExcessive || !isStream);
}

/** Returns the path with an example value for each parameter. */
function pathOf(route: string, { parameters = [] }: Operation): string {
  return route.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const { example, schema } = parameters.find((each) => each.in === 'path' && each.name === name) ?? {};
    const given = example ?? schema?.example;
    return typeof given === 'string' ? given : schema?.format === 'uuid' ? UUID : 'tea';
  });
}

function queriesOf({ parameters = [] }: Operation) {
  const names = parameters.filter((each) => each.in === 'query').map(({ name }) => name);
  const unknown = Array.from({ length: 4200 }, (_, n) => n.toString(36)).join('&');
  return [
    { what: '4,200 unknown names', isExcessive: true, query: unknown },
    { what: 'one unknown name repeated', isExcessive: true, query: filled('', 'x&', QUERY_BYTES) },
    { what: '90 unknown names', isExcessive: false, query: unknown.split('&').slice(0, 90).join('&') },
    ...names.flatMap((name) => [
      { what: `${name} repeated`, isExcessive: true, query: filled('', `${name}=1&`, QUERY_BYTES) },
      { what: `${name} repeated 90 times`, isExcessive: false, query: `${name}=1&`.repeat(90) },
      { what: `${name} with many parts`, isExcessive: false, query: filled(`${name}=`, ',', QUERY_BYTES) },
      { what: `${name} with many words`, isExcessive: false, query: filled(`${name}=`, 'a+', QUERY_BYTES) },
      { what: `${name} with fifty words`, isExcessive: false, query: `${name}=${'a+'.repeat(50)}`.slice(0, -1) },
    ]),
  ];
}

function bodiesOf(document: OpenApiDocument, { requestBody }: Operation) {
  const schema = resolved(document, requestBody?.content?.['application/json']?.schema ?? {});
  const example = exampleOf(document, schema) as Record<string, unknown>;
  const fields = Object.keys(schema.properties ?? {});
  const unknown = Array.from({ length: 12_000 }, (_, n) => `"${n.toString(36)}":1`);
  /** Returns the example with a different JSON text for one field. */
  const withField = (name: string, text: string) => {
    const others = Object.entries(example).filter(([other]) => other !== name);
    return `{${[...others.map(([other, value]) => `"${other}":${JSON.stringify(value)}`), `"${name}":${text}`].join()}}`;
  };
  return [
    { what: '12,000 unknown fields', isExcessive: true, body: `{${unknown.join()}}` },
    { what: '490 unknown fields', isExcessive: false, body: `{${unknown.slice(0, 490).join()}}` },
    { what: 'an unknown field with a long name', isExcessive: false, body: `{"${'x'.repeat(BODY_BYTES)}":1}` },
    {
      what: 'a field repeated',
      isExcessive: false,
      body: withField('x', `1${filled('', ',"x":1', BODY_BYTES - 500)}`),
    },
    { what: 'a list of {}', isExcessive: true, body: `${filled('[{}', ',{}', BODY_BYTES)}]` },
    ...['x', ...fields].flatMap((name) => [
      {
        what: `${name} a list of {}`,
        isExcessive: true,
        body: withField(name, `${filled('[{}', ',{}', BODY_BYTES - 500)}]`),
      },
      {
        what: `${name} a list of 450 {}`,
        isExcessive: false,
        body: withField(name, `[${Array(450).fill('{}').join()}]`),
      },
      {
        what: `${name} a list of numbers`,
        isExcessive: true,
        body: withField(name, `${filled('[1', ',1', BODY_BYTES - 500)}]`),
      },
      { what: `${name} in nested lists`, isExcessive: true, body: withField(name, nested('[', '1', ']')) },
      { what: `${name} in nested objects`, isExcessive: true, body: withField(name, nested('{"a":', '1', '}')) },
      { what: `${name} a long text`, isExcessive: false, body: withField(name, `"${'x'.repeat(BODY_BYTES - 500)}"`) },
      { what: `${name} a long blank`, isExcessive: false, body: withField(name, `"${' '.repeat(BODY_BYTES - 500)}"`) },
      { what: `${name} a long number`, isExcessive: false, body: withField(name, '9'.repeat(BODY_BYTES - 500)) },
    ]),
  ];
}

function exampleOf(document: OpenApiDocument, schema: Schema): unknown {
  const { example, properties, enum: values, type } = resolved(document, schema);
  if (example !== undefined) return example;
  if (values) return values[0];
  if (type === 'array') return [];
  const entries = Object.entries(properties ?? {}).map(([name, field]) => [name, exampleOf(document, field)]);
  return Object.fromEntries(entries) as unknown;
}

function resolved(document: OpenApiDocument, schema: Schema): Schema {
  const [part] = schema.allOf ?? [];
  const name = (schema.$ref ?? part?.$ref)?.split('/').at(-1);
  return name === undefined ? schema : (document.components?.schemas?.[name] ?? schema);
}

/** Repeats the piece as often as the size allows. */
function filled(begin: string, piece: string, bytes: number): string {
  return begin + piece.repeat(Math.floor((bytes - begin.length) / piece.length));
}

function nested(open: string, inner: string, close: string): string {
  const levels = Math.floor((BODY_BYTES - 500) / (open.length + close.length));
  return open.repeat(levels) + inner + close.repeat(levels);
}
