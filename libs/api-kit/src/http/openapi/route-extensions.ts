/** Marks a route that does not use the database, so that the document lists no 503 for it. */
export const WITHOUT_DATABASE_EXTENSION = 'x-without-database';

/** Marks a route whose handler reads the raw bytes of the body. Validation does not reject unknown fields there. */
export const RAW_BODY_EXTENSION = 'x-raw-body';

/** Carries the problems of a route; see `ApiProblems`. */
export const PROBLEMS_EXTENSION = 'x-problems';

/** Lets a parameter decorator document its route too. Use it as an enhancer for `createParamDecorator`. */
export function documentedBy(decorate: MethodDecorator): ParameterDecorator {
  return (target, name) => {
    const method = name === undefined ? undefined : Object.getOwnPropertyDescriptor(target, name);
    if (method && name !== undefined) decorate(target, name, method);
  };
}
