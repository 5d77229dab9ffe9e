/** A request that makes a service do as much as a request of its size can: for tests and benchmarks. */
export interface WorstInput {
  readonly method: string;
  /** As the OpenAPI document has it: `/orders/{orderId}`. */
  readonly route: string;
  /** What is sent, with the query. */
  readonly path: string;
  readonly body?: string;
  /** What is excessive about it. */
  readonly what: string;
  /** Whether it has more values, or more levels, than any route takes. */
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

/** As much of an OpenAPI document as is read here. */
export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

/** In bytes: just below the 100 kB that a body may have. */
const BODY_BYTES = 99_000;
/** In bytes: Node takes 16 kB for the head of a request. */
const QUERY_BYTES = 14_000;
const UUID = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

/** The worst inputs of every route of the document, those that take a body and those that take only a query. */
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
  // A stream that is opened does not end: only what is refused can be sent there.
  const isStream = 'text/event-stream' in (operation.responses['200']?.content ?? {});
  return [...queries, ...bodies].filter(({ isExcessive }) => isExcessive || !isStream);
}

/** The path with an example of each parameter. */
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
      { what: `${name} of many parts`, isExcessive: false, query: filled(`${name}=`, ',', QUERY_BYTES) },
      { what: `${name} of many words`, isExcessive: false, query: filled(`${name}=`, 'a+', QUERY_BYTES) },
      { what: `${name} of fifty words`, isExcessive: false, query: `${name}=${'a+'.repeat(50)}`.slice(0, -1) },
    ]),
  ];
}

function bodiesOf(document: OpenApiDocument, { requestBody }: Operation) {
  const schema = resolved(document, requestBody?.content?.['application/json']?.schema ?? {});
  const example = exampleOf(document, schema) as Record<string, unknown>;
  const fields = Object.keys(schema.properties ?? {});
  const unknown = Array.from({ length: 12_000 }, (_, n) => `"${n.toString(36)}":1`);
  /** The example, with another text for a field of it. */
  const having = (name: string, text: string) => {
    const others = Object.entries(example).filter(([other]) => other !== name);
    return `{${[...others.map(([other, value]) => `"${other}":${JSON.stringify(value)}`), `"${name}":${text}`].join()}}`;
  };
  return [
    { what: '12,000 unknown fields', isExcessive: true, body: `{${unknown.join()}}` },
    { what: '490 unknown fields', isExcessive: false, body: `{${unknown.slice(0, 490).join()}}` },
    { what: 'an unknown field with a long name', isExcessive: false, body: `{"${'x'.repeat(BODY_BYTES)}":1}` },
    { what: 'a field repeated', isExcessive: false, body: having('x', `1${filled('', ',"x":1', BODY_BYTES - 500)}`) },
    { what: 'a list of {}', isExcessive: true, body: `${filled('[{}', ',{}', BODY_BYTES)}]` },
    ...['x', ...fields].flatMap((name) => [
      {
        what: `${name} a list of {}`,
        isExcessive: true,
        body: having(name, `${filled('[{}', ',{}', BODY_BYTES - 500)}]`),
      },
      { what: `${name} a list of 450 {}`, isExcessive: false, body: having(name, `[${Array(450).fill('{}').join()}]`) },
      {
        what: `${name} a list of numbers`,
        isExcessive: true,
        body: having(name, `${filled('[1', ',1', BODY_BYTES - 500)}]`),
      },
      { what: `${name} in many lists`, isExcessive: true, body: having(name, nested('[', '1', ']')) },
      { what: `${name} in many objects`, isExcessive: true, body: having(name, nested('{"a":', '1', '}')) },
      { what: `${name} a long text`, isExcessive: false, body: having(name, `"${'x'.repeat(BODY_BYTES - 500)}"`) },
      { what: `${name} a long blank`, isExcessive: false, body: having(name, `"${' '.repeat(BODY_BYTES - 500)}"`) },
      { what: `${name} a long number`, isExcessive: false, body: having(name, '9'.repeat(BODY_BYTES - 500)) },
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

/** As often as the bytes allow. */
function filled(begin: string, piece: string, bytes: number): string {
  return begin + piece.repeat(Math.floor((bytes - begin.length) / piece.length));
}

function nested(open: string, inner: string, close: string): string {
  const levels = Math.floor((BODY_BYTES - 500) / (open.length + close.length));
  return open.repeat(levels) + inner + close.repeat(levels);
}
