import { type ArgumentMetadata, Injectable, ValidationPipe } from '@nestjs/common';
import type { ValidationError } from 'class-validator';
import { commonProblems, ProblemException } from './problem.js';

/** One thing that is wrong with a request: where (a JSON pointer into the body, or a parameter's name) and what. */
export interface Violation {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly detail: string;
}

/** More help nobody, and a body of thousands of wrong items must not be answered at length. */
const MAX_VIOLATIONS = 20;

/** The 400 that says what is wrong with a request. */
export function validationProblem(violations: readonly Violation[]): ProblemException {
  const more = violations.length - MAX_VIOLATIONS;
  return new ProblemException({
    code: 'validation',
    ...commonProblems.validation,
    detail: `${violations
      .slice(0, 3)
      .map(({ pointer, parameter, detail }) => `${parameter ?? pointer}: ${detail}`)
      .join('; ')}${violations.length > 3 ? `; and ${violations.length - 3} more` : ''}.`,
    members: {
      errors: violations.slice(0, MAX_VIOLATIONS),
      ...(more > 0 && { omitted: more }),
    },
  });
}

// Carries class-validator's findings to where it is known which part of the request they are about.
class Invalid extends Error {
  constructor(readonly errors: readonly ValidationError[]) {
    super('invalid');
  }
}

/**
 * Validates every body, query and set of path parameters that is typed as a class, and refuses what the class does not
 * name. Nothing is converted unless the class says so (`@Type(() => Number)`): `"2"` is no quantity in JSON.
 */
@Injectable()
export class RequestValidation extends ValidationPipe {
  constructor() {
    super({
      transform: true,
      whitelist: true,
      forbidNonWhitelisted: true,
      forbidUnknownValues: true,
      validationError: { target: false, value: false },
      exceptionFactory: (errors) => new Invalid(errors),
    });
  }

  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    const isDto = metadata.metatype !== undefined && this.toValidate(metadata);
    // No body at all is judged like {}: the class says whether it may be missing. JSON's null, arrays and primitives are not
    // (the pipe would take null for {}).
    if (metadata.type === 'body' && isDto && value !== undefined && !isObject(value)) {
      throw validationProblem([{ pointer: '#', detail: 'must be a JSON object' }]);
    }
    try {
      return (await super.transform(value, metadata)) as unknown;
    } catch (error) {
      if (error instanceof Invalid) throw validationProblem(violationsOf(error.errors, metadata));
      // class-transformer descends by recursion, into fields that no class names too.
      if (error instanceof RangeError) throw validationProblem([{ pointer: '#', detail: 'is nested too deeply' }]);
      throw error;
    }
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function violationsOf(errors: readonly ValidationError[], { type }: ArgumentMetadata): Violation[] {
  const violations: Violation[] = [];
  const visit = (nested: readonly ValidationError[], path: readonly string[]): void => {
    for (const { property, constraints, children } of nested) {
      const here = [...path, property ?? ''];
      for (const detail of Object.values(constraints ?? {})) {
        violations.push(
          type === 'body' ? { pointer: jsonPointer(here), detail } : { parameter: here.join('.'), detail },
        );
      }
      if (children) visit(children, here);
    }
  };
  visit(errors, []);
  return violations;
}

// RFC 6901, section 6: the pointer as a URI fragment.
function jsonPointer(path: readonly string[]): string {
  return `#${path.map((key) => `/${encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('')}`;
}
