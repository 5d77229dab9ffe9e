import {
  applyDecorators,
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  SetMetadata,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiExtension } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { logContext } from '../app/logging.js';
import { commonProblems, ProblemException } from './problem.js';

const roles = ['customer', 'operator', 'admin'] as const;

/** A role of a caller. Roles do not include each other: an admin who also acts as an operator needs both. */
export type Role = (typeof roles)[number];

/** The user who makes a request. */
export interface Caller {
  /** 1 to 255 visible characters; U+0020 is allowed too. */
  readonly userId: string;
  readonly roles: ReadonlySet<Role>;
}

/**
 * Matches invisible characters and those that look like others: control, format and default-ignorable characters, private-use and
 * unassigned ones, the empty Braille pattern, the object replacement character, and every space except U+0020. With them the ids of two
 * users could look the same.
 */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\u2800\ufffc]|(?! )\p{Zs}/u;

const PUBLIC = 'twinbox:public';
const OPTIONAL = 'twinbox:optional-caller';
const ROLES = 'twinbox:roles';
/** Mark who may call a route while the OpenAPI document is generated. They are not in the final document. */
export const PUBLIC_EXTENSION = 'x-public';
export const OPTIONAL_CALLER_EXTENSION = 'x-optional-caller';
export const ROLES_EXTENSION = 'x-required-roles';

/** The headers that identify the caller. Responses depend on them. */
export const CALLER_HEADERS = ['X-User-Id', 'X-Roles'];

const callers = new WeakMap<object, Caller>();

/** Injects the caller into a handler: `@Caller() { userId }: Caller`. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): Caller =>
  callerOfRequest(context.switchToHttp().getRequest<FastifyRequest>()),
);

/** Injects the caller of an {@link AnonymousAllowed} route into a handler; undefined for an anonymous caller. */
export const OptionalCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller | undefined =>
  callers.get(context.switchToHttp().getRequest<FastifyRequest>().raw),
);

/** Returns the caller of a request. @throws Error on a route whose caller is not identified */
export function callerOfRequest({ raw }: FastifyRequest): Caller {
  const caller = callers.get(raw);
  if (!caller) throw new Error('This route has no caller, because it is @Public() or the CallerGuard is not active.');
  return caller;
}

/** Whether the caller has the role of an operator. An anonymous caller does not. */
export function isOperator(caller: Caller | undefined): boolean {
  return caller?.roles.has('operator') === true;
}

/** Returns the actor for the history: `operator:olga` for a caller with the role of an operator, otherwise `customer:ada`. */
export function actorOf(caller: Caller): string {
  return `${isOperator(caller) ? 'operator' : 'customer'}:${caller.userId}`;
}

/** Lets anyone call a route, without identifying the caller. */
export const Public = (): MethodDecorator & ClassDecorator =>
  applyDecorators(SetMetadata(PUBLIC, true), ApiExtension(PUBLIC_EXTENSION, true));

/**
 * Allows anonymous callers, who send neither `X-User-Id` nor `X-Roles`. A caller who sends one of them is identified as on any other route,
 * so a malformed header is rejected. A route that requires a role remains closed to anonymous callers.
 */
export const AnonymousAllowed = (): MethodDecorator & ClassDecorator =>
  applyDecorators(SetMetadata(OPTIONAL, true), ApiExtension(OPTIONAL_CALLER_EXTENSION, true));

/** Requires one of these roles. Other callers get a 403. */
export const RequireRole = (...allowed: [Role, ...Role[]]): MethodDecorator & ClassDecorator =>
  applyDecorators(SetMetadata(ROLES, allowed), ApiExtension(ROLES_EXTENSION, allowed));

/** Identifies the caller, with `AUTH_MODE=dev` by the headers X-User-Id and X-Roles, and checks their roles. */
@Injectable()
export class CallerGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    if (context.getType() !== 'http') return true;
    const targets = [context.getHandler(), context.getClass()];
    if (this.reflector.getAllAndOverride<boolean | undefined>(PUBLIC, targets)) return true;

    const { raw } = context.switchToHttp().getRequest<FastifyRequest>();
    const allowed = this.reflector.getAllAndOverride<Role[] | undefined>(ROLES, targets);
    const mayBeAnonymous =
      !allowed && this.reflector.getAllAndOverride<boolean | undefined>(OPTIONAL, targets) === true;
    const isIdentified = CALLER_HEADERS.some((name) => name.toLowerCase() in raw.headersDistinct);
    if (mayBeAnonymous && !isIdentified) return true;

    const caller = callerOf(raw.headersDistinct);
    callers.set(raw, caller);
    logContext({ userId: caller.userId });

    if (allowed && !allowed.some((role) => caller.roles.has(role))) {
      throw new ProblemException({
        code: 'role-required',
        ...commonProblems['role-required'],
        detail: `This requires the role ${allowed.join(' or ')}.`,
        members: { roles: allowed },
      });
    }
    return true;
  }
}

/** Returns the caller that the headers identify. @throws ProblemException 401 if they do not identify one */
export function callerOf(headers: NodeJS.Dict<string[]>): Caller {
  const users = headers['x-user-id'] ?? [];
  // A second one may have been smuggled past a proxy that checked only the first.
  if (users.length > 1) throw callerUnknown('X-User-Id was sent more than once.');
  const userId = trimmed(decoded(users[0] ?? ''));
  if (userId === '') throw callerUnknown('The X-User-Id header is missing or empty.');
  // In code points, as PostgreSQL and class-validator count them.
  if (Array.from(userId).length > 255) throw callerUnknown('X-User-Id is longer than 255 characters.');
  const [invisible] = INVISIBLE.exec(userId) ?? [];
  if (invisible !== undefined) throw callerUnknown(`X-User-Id contains ${nameOf(invisible)}.`);

  const named = (headers['x-roles'] ?? [])
    .join(',')
    .split(',')
    .map(trimmed)
    .filter((role) => role !== '');
  const unknown = named.find((role) => !(roles as readonly string[]).includes(role));
  if (unknown !== undefined) {
    throw callerUnknown(`X-Roles contains ${JSON.stringify(unknown)}, which is not one of ${roles.join(', ')}.`);
  }
  return { userId, roles: new Set(named.length > 0 ? (named as Role[]) : ['customer']) };
}

// Node decodes headers as Latin-1 (RFC 9110, section 5.5), but clients send UTF-8. So bytes that are valid UTF-8 are decoded as such.
function decoded(header: string): string {
  const bytes = Buffer.from(header, 'latin1');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return header;
  }
}

/** Removes the spaces that HTTP allows around a value (RFC 9110, section 5.5). `trim` would also remove no-break spaces and a BOM. */
function trimmed(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, '');
}

function nameOf(character: string): string {
  const codePoint = `U+${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}`;
  return /\p{Cc}/u.test(character)
    ? `a control character, ${codePoint}`
    : `${codePoint}, an invisible or ambiguous character`;
}

function callerUnknown(detail: string): ProblemException {
  return new ProblemException({
    code: 'caller-unknown',
    ...commonProblems['caller-unknown'],
    detail,
    headers: { 'www-authenticate': 'Dev realm="twinbox", header="X-User-Id"' },
  });
}
