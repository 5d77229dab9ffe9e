import { commonProblems } from './common-problems.js';
import { clipped, ProblemException } from './problem.js';

/** An error in a request: where it is (a JSON pointer into the body, or the name of a parameter) and what is wrong. */
export interface Violation {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly detail: string;
}

/** More do not help anyone, and a body with thousands of invalid items must not cause a long response. */
const MAX_VIOLATIONS = 20;

/** Returns the 400 that lists the violations of a request. */
export function validationProblem(found: readonly Violation[]): ProblemException {
  const omitted = found.length - MAX_VIOLATIONS;
  const violations = found.slice(0, MAX_VIOLATIONS).map(withoutLongNames);
  return new ProblemException({
    code: 'validation',
    ...commonProblems.validation,
    detail: `${violations
      .slice(0, 3)
      .map(({ pointer, parameter, detail }) => `${parameter ?? pointer}: ${detail}`)
      .join('; ')}${found.length > 3 ? `; and ${found.length - 3} more` : ''}.`,
    members: {
      errors: violations,
      ...(omitted > 0 && { omitted }),
    },
  });
}

/** In UTF-16 code units. The name of an unknown field may be as long as the body. */
const MAX_NAME_LENGTH = 300;

function withoutLongNames(violation: Violation): Violation {
  const shortened = Object.entries(violation).map(([name, text]) => [name, clipped(text as string, MAX_NAME_LENGTH)]);
  return Object.fromEntries(shortened) as Violation;
}
