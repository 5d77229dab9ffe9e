import { type Problem, problemType } from '../problem.js';
import type { JsonSchema } from './json-schema.js';

/** A problem with its example, and schemas of members whose example does not show all possible values. */
export interface DocumentedProblem extends Problem {
  readonly schemas?: Readonly<Record<string, JsonSchema>>;
  /** Optional members, in addition to those that are missing from the example. */
  readonly optional?: readonly string[];
}

/** The schemas of the members of `validation`. */
export const violationSchemas = {
  errors: {
    type: 'array',
    items: {
      type: 'object',
      properties: {
        pointer: { type: 'string', description: 'A JSON pointer into the body, as a URI fragment.' },
        parameter: { type: 'string', description: 'The name of a parameter of the path, the query or the headers.' },
        detail: { type: 'string' },
      },
      required: ['detail'],
    },
  },
  omitted: { type: 'integer', description: 'How many more errors there are.' },
};

const versions = { anyOf: [{ type: 'integer' }, { type: 'array', items: { type: 'integer' } }, { const: '*' }] };

/** The schemas of the members of `version-conflict`. */
export const versionConflictSchemas = {
  expected: { description: 'The versions in `If-Match`. `*` means that the resource must exist.', ...versions },
  unexpected: {
    description: 'The versions in `If-None-Match`. `*` means that the resource must not exist.',
    ...versions,
  },
  actual: { type: 'integer', description: 'The current version. 0 means that the resource does not exist.' },
};

/** The schemas of a document by name. */
type Schemas = Record<string, object>;

const BASE = { $ref: '#/components/schemas/ProblemDto' };

/** Returns the schema of a response that is one of the problems, which differ in their `type`. Adds a schema for each to `schemas`. */
export function schemaOfProblems(problems: readonly DocumentedProblem[], schemas: Schemas): JsonSchema {
  const refs = problems.map((problem) => {
    const name = nameOf(problem.code);
    schemas[name] ??= schemaOf(problem);
    return { type: problemType(problem.code), $ref: `#/components/schemas/${name}` };
  });
  const [first, ...others] = refs;
  if (first && others.length === 0) return { $ref: first.$ref };
  return {
    oneOf: refs.map(({ $ref }) => ({ $ref })),
    discriminator: { propertyName: 'type', mapping: Object.fromEntries(refs.map(({ type, $ref }) => [type, $ref])) },
  };
}

function schemaOf({ code, status, title, members = {}, schemas = {}, optional = [] }: DocumentedProblem): JsonSchema {
  const required = ['type', 'status', ...Object.keys(members)].filter((name) => !optional.includes(name));
  const shown = Object.entries(members).map(([name, example]) => [name, schemaLike(example)]);
  return {
    type: 'object',
    description: title,
    allOf: [BASE],
    properties: {
      type: { const: problemType(code) },
      status: { const: status },
      ...(Object.fromEntries(shown) as object),
      ...schemas,
    },
    required,
  };
}

/** Returns the schema name of a code, such as `OrderWrongStatusProblem` for `order-wrong-status`. */
function nameOf(code: string): string {
  return `${code.replaceAll(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase())}Problem`;
}

/** Returns a schema with the types of the example. */
function schemaLike(example: unknown): JsonSchema {
  if (Array.isArray(example)) return { type: 'array', items: example.length > 0 ? schemaLike(example[0]) : {} };
  if (typeof example === 'object' && example !== null) {
    const fields = Object.entries(example).map(([name, value]) => [name, schemaLike(value)] as const);
    return { type: 'object', properties: Object.fromEntries(fields), required: fields.map(([name]) => name) };
  }
  if (example === null) return {};
  return { type: Number.isInteger(example) ? 'integer' : typeof example };
}
