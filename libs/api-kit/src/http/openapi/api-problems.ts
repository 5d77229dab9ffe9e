import { ApiExtension } from '@nestjs/swagger';
import type { ProblemEntry } from '../problem.js';
import type { DocumentedProblem } from './problem-schemas.js';
import { PROBLEMS_EXTENSION } from './route-extensions.js';
import type { JsonSchema } from './json-schema.js';

/** An entry of any problem table, whatever its rejection looks like. */
type AnyProblemEntry = Omit<ProblemEntry<never>, 'example' | 'schemas' | 'optional'> & {
  readonly example?: object;
  readonly schemas?: Readonly<Record<string, JsonSchema>>;
  readonly optional?: readonly string[];
};

/**
 * Documents the problems that are specific to a handler: `@ApiProblems(orderProblems, 'order-not-found')`. The status, the texts and the
 * example come from the table. The problems that every route has (400, 401, 403, 413, 415, 429, 431, 500, 503) are documented automatically.
 */
export function ApiProblems<C extends string>(
  table: { readonly [K in C]: AnyProblemEntry },
  ...codes: [NoInfer<C>, ...NoInfer<C>[]]
): MethodDecorator & ClassDecorator {
  const problems: DocumentedProblem[] = codes.map((code) => {
    const { status, title, detail, example = {}, schemas = {}, optional = [] } = table[code];
    const rejection = { code, ...example } as never;
    const members = example as Record<string, unknown>;
    return { code, status, title, detail: detail?.(rejection) ?? title, members, schemas, optional };
  });
  return ApiExtension(PROBLEMS_EXTENSION, problems);
}
