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
import { validationProblem, type Violation } from './validation-problem.js';

// Carries class-validator's errors to the caller, which knows the part of the request that they are about.
class Invalid extends Error {
  constructor(readonly errors: readonly ValidationError[]) {
    super('invalid');
  }
}

class NoBodyGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { body } = context.switchToHttp().getRequest<FastifyRequest>();
    if (body === undefined || (isObject(body) && Object.keys(body as object).length === 0)) return true;
    throw validationProblem([{ pointer: '#', detail: 'must be omitted, because this request takes no body' }]);
  }
}

/** Rejects any body other than `{}` on a POST that takes none, because the sender must have meant something by it. */
export const NoBody = (): MethodDecorator => UseGuards(NoBodyGuard);

/**
 * Validates every body, query and set of path parameters that is typed as a class. Rejects fields that the class does not declare and
 * values that no field may hold (see {@link forbiddenIn}). Nothing is converted unless the class says so (`@Type(() => Number)`), because
 * `"2"` is not a number in JSON.
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
    // A missing body is validated like {}, so the class decides whether it may be missing. JSON's null, arrays and primitives are rejected
    // here, because the pipe would treat null like {}.
    if (metadata.type === 'body' && isDto && value !== undefined && !isObject(value)) {
      throw validationProblem([{ pointer: '#', detail: 'must be a JSON object' }]);
    }
    try {
      const forbidden = isDto ? forbiddenIn(value, metadata.type) : [];
      if (forbidden.length > 0) throw validationProblem(forbidden);
      return (await super.transform(value, metadata)) as unknown;
    } catch (error) {
      if (error instanceof Invalid) throw validationProblem(violationsOf(error.errors, metadata));
      // class-transformer recurses even into fields that no class declares.
      if (error instanceof RangeError) throw validationProblem([{ pointer: '#', detail: 'is nested too deeply' }]);
      throw error;
    }
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Returns the violations that the classes would not detect: text that PostgreSQL cannot store (U+0000 or a lone surrogate), fields with the
 * names of inherited properties (Nest and class-transformer drop them silently), and lists within lists (class-validator treats their
 * elements as elements of the outer list, and ignores an empty one).
 */
function forbiddenIn(value: unknown, part: ArgumentMetadata['type']): Violation[] {
  const violations: Violation[] = [];
  const path: string[] = [];
  const report = (detail: string): void => void violations.push(violation(part, path, detail));
  const visit = (here: unknown): void => {
    if (typeof here === 'string') {
      if (!isStorable(here)) report('must not contain U+0000 or lone surrogates');
    } else if (isObject(here) || Array.isArray(here)) {
      for (const [key, inner] of Object.entries(here as object)) {
        path.push(key);
        if (key in Object.prototype || key === 'prototype') report(`property ${key} should not exist`);
        else if (Array.isArray(here) && Array.isArray(inner)) report('must not be a list within a list');
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
      for (const detail of relevantDetails(constraints ?? {})) {
        violations.push(violation(type, here, detail));
      }
      if (children) visit(children, here);
    }
  };
  visit(errors, []);
  return violations;
}

/** Returns only the error about the type, if any. A value of the wrong type breaks most other rules too, and their errors do not help. */
function relevantDetails(constraints: Readonly<Record<string, string>>): string[] {
  const type = ['isArray', 'isInt', 'isString', 'isText', 'isUuid', 'isWholeNumber'].find(
    (rule) => rule in constraints,
  );
  return type === undefined ? Object.values(constraints) : [constraints[type] ?? ''];
}

function violation(part: ArgumentMetadata['type'], path: readonly string[], detail: string): Violation {
  return part === 'body' ? { pointer: jsonPointer(path), detail } : { parameter: path.join('.'), detail };
}

// Formats the pointer as a URI fragment (RFC 6901, section 6).
function jsonPointer(path: readonly string[]): string {
  return `#${path.map((key) => `/${encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('')}`;
}
