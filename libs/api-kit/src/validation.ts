import {
  type ArgumentMetadata,
  type CanActivate,
  type ExecutionContext,
  Injectable,
  UseGuards,
  ValidationPipe,
} from '@nestjs/common';
import { isStorable } from '@twinbox/fields';
import { type ValidationError } from 'class-validator';
import type { FastifyRequest } from 'fastify';
import { clipped, commonProblems, ProblemException } from './problem.js';

/** One thing that is wrong with a request: where (a JSON pointer into the body, or a parameter's name) and what. */
export interface Violation {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly detail: string;
}

/** More help nobody, and a body of thousands of wrong items must not be answered at length. */
const MAX_VIOLATIONS = 20;

/** The 400 that says what is wrong with a request. */
export function validationProblem(found: readonly Violation[]): ProblemException {
  const more = found.length - MAX_VIOLATIONS;
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
      ...(more > 0 && { omitted: more }),
    },
  });
}

/** In UTF-16 code units. An unknown field may have a name as long as the body. */
const LONGEST_NAME = 300;

function withoutLongNames(violation: Violation): Violation {
  const shortened = Object.entries(violation).map(([name, text]) => [name, clipped(text as string, LONGEST_NAME)]);
  return Object.fromEntries(shortened) as Violation;
}

// Carries class-validator's findings to where it is known which part of the request they are about.
class Invalid extends Error {
  constructor(readonly errors: readonly ValidationError[]) {
    super('invalid');
  }
}

class NoBodyGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { body } = context.switchToHttp().getRequest<FastifyRequest>();
    if (body === undefined || (isObject(body) && Object.keys(body as object).length === 0)) return true;
    throw validationProblem([{ pointer: '#', detail: 'must be left out: there is nothing to say here' }]);
  }
}

/** For a POST that takes no body: whoever sends one that is more than `{}` means something by it, and is told no. */
export const NoBody = (): MethodDecorator => UseGuards(NoBodyGuard);

/**
 * Validates every body, query and set of path parameters that is typed as a class, and refuses what the class does not
 * name, and what no field may hold (see {@link forbiddenIn}). Nothing is converted unless the class says so
 * (`@Type(() => Number)`): `"2"` is no quantity in JSON.
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
      const forbidden = isDto ? forbiddenIn(value, metadata.type) : [];
      if (forbidden.length > 0) throw validationProblem(forbidden);
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

/**
 * What the classes would let through: text that PostgreSQL cannot keep as it is (U+0000, half a surrogate pair), fields
 * named as what every object inherits (Nest and class-transformer drop them in silence), and lists within lists
 * (class-validator takes their elements for elements of the outer one, and an empty one for nothing).
 */
function forbiddenIn(value: unknown, part: ArgumentMetadata['type']): Violation[] {
  const violations: Violation[] = [];
  const path: string[] = [];
  const refuse = (detail: string): void => void violations.push(violation(part, path, detail));
  const visit = (here: unknown): void => {
    if (typeof here === 'string') {
      if (!isStorable(here)) refuse('must be text without U+0000 and lone surrogates');
    } else if (isObject(here) || Array.isArray(here)) {
      for (const [key, inner] of Object.entries(here as object)) {
        path.push(key);
        if (key in Object.prototype || key === 'prototype') refuse(`property ${key} should not exist`);
        else if (Array.isArray(here) && Array.isArray(inner)) refuse('must not be a list within a list');
        else visit(inner);
        path.pop();
      }
    }
  };
  visit(value);
  return violations;
}

function violationsOf(errors: readonly ValidationError[], { type }: ArgumentMetadata): Violation[] {
  const violations: Violation[] = [];
  const visit = (nested: readonly ValidationError[], path: readonly string[]): void => {
    for (const { property, constraints, children } of nested) {
      const here = [...path, property ?? ''];
      for (const detail of worthTelling(constraints ?? {})) {
        violations.push(violation(type, here, detail));
      }
      if (children) visit(children, here);
    }
  };
  visit(errors, []);
  return violations;
}

/** What is of the wrong type breaks most other rules too, in words that help nobody. */
function worthTelling(constraints: Readonly<Record<string, string>>): string[] {
  const type = ['isArray', 'isInt', 'isString', 'isText', 'isUuid', 'isWholeNumber'].find(
    (rule) => rule in constraints,
  );
  return type === undefined ? Object.values(constraints) : [constraints[type] ?? ''];
}

function violation(part: ArgumentMetadata['type'], path: readonly string[], detail: string): Violation {
  return part === 'body' ? { pointer: jsonPointer(path), detail } : { parameter: path.join('.'), detail };
}

// RFC 6901, section 6: the pointer as a URI fragment.
function jsonPointer(path: readonly string[]): string {
  return `#${path.map((key) => `/${encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('')}`;
}
