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
import { logContext } from './logging.js';
import { commonProblems, ProblemException } from './problem.js';

const roles = ['customer', 'operator', 'admin'] as const;

/** What a caller may be. Roles do not contain each other: an admin who acts as an operator is given both. */
export type Role = (typeof roles)[number];

/** Who makes a request. */
export interface Caller {
  /** 1 to 255 characters, all of which can be seen. */
  readonly userId: string;
  readonly roles: ReadonlySet<Role>;
}

/**
 * Characters that nobody sees, or that look like others: control and format characters, those that Unicode lets no one display, private
 * and unassigned ones, the empty Braille pattern and the object replacement character, and every space but U+0020. With them two ids of
 * two users would look the same.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\u2800\ufffc]|(?! )\p{Zs}/u;

const PUBLIC = 'twinbox:public';
const OPTIONAL = 'twinbox:optional-caller';
const ROLES = 'twinbox:roles';
/** Extensions through which the OpenAPI document learns who may call; they are taken out of it again. */
export const PUBLIC_EXTENSION = 'x-public';
export const OPTIONAL_CALLER_EXTENSION = 'x-optional-caller';
export const ROLES_EXTENSION = 'x-required-roles';

/** The headers that identify the caller. Answers differ by them. */
export const CALLER_HEADERS = ['X-User-Id', 'X-Roles'];

const callers = new WeakMap<object, Caller>();

/** The caller as an argument of a handler: `@Caller() { userId }: Caller`. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): Caller =>
  callerOfRequest(context.switchToHttp().getRequest<FastifyRequest>()),
);

/** The caller of an {@link AnonymousAllowed} route as an argument of a handler; undefined for an anonymous one. */
export const OptionalCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller | undefined =>
  callers.get(context.switchToHttp().getRequest<FastifyRequest>().raw),
);

/** @throws when nobody has asked who calls */
export function callerOfRequest({ raw }: FastifyRequest): Caller {
  const caller = callers.get(raw);
  if (!caller) throw new Error('This route has no caller: it is @Public(), or the CallerGuard is not in force.');
  return caller;
}

/** Whether they may see and do what operators may. An anonymous caller may not. */
export function isOperator(caller: Caller | undefined): boolean {
  return caller?.roles.has('operator') === true;
}

/** Who did it, for the history: `operator:olga` when they act with the operator's role, else `customer:ada`. */
export function actorOf(caller: Caller): string {
  return `${isOperator(caller) ? 'operator' : 'customer'}:${caller.userId}`;
}

/** Anyone may call, and nobody is asked who they are. */
export const Public = (): MethodDecorator & ClassDecorator =>
  applyDecorators(SetMetadata(PUBLIC, true), ApiExtension(PUBLIC_EXTENSION, true));

/**
 * Admits anonymous callers, who send neither `X-User-Id` nor `X-Roles`. A caller who sends one of them is identified as on any other
 * route, so a malformed header is refused. A route that requires a role stays closed to anonymous callers.
 */
export const AnonymousAllowed = (): MethodDecorator & ClassDecorator =>
  applyDecorators(SetMetadata(OPTIONAL, true), ApiExtension(OPTIONAL_CALLER_EXTENSION, true));

/** Callers without any of these roles get a 403. */
export const RequireRole = (...allowed: [Role, ...Role[]]): MethodDecorator & ClassDecorator =>
  applyDecorators(SetMetadata(ROLES, allowed), ApiExtension(ROLES_EXTENSION, allowed));

/** Finds out who calls (`AUTH_MODE=dev`: as the headers X-User-Id and X-Roles say) and whether they may. */
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
        detail: `This needs the role ${allowed.join(' or ')}.`,
        members: { roles: allowed },
      });
    }
    return true;
  }
}

/** @throws ProblemException (401) when the headers do not say who calls. */
export function callerOf(headers: NodeJS.Dict<string[]>): Caller {
  const users = headers['x-user-id'] ?? [];
  // Two of them would be two users, or one smuggled past a proxy that checked the other.
  if (users.length > 1) throw callerUnknown('X-User-Id was sent more than once.');
  const userId = trimmed(decoded(users[0] ?? ''));
  if (userId === '') throw callerUnknown('Say who you are in the header X-User-Id.');
  // In code points, as PostgreSQL and class-validator count them.
  if (Array.from(userId).length > 255) throw callerUnknown('X-User-Id is longer than 255 characters.');
  const [unseen] = UNSEEN.exec(userId) ?? [];
  if (unseen !== undefined) throw callerUnknown(`X-User-Id has ${nameOf(unseen)}.`);

  const named = (headers['x-roles'] ?? [])
    .join(',')
    .split(',')
    .map(trimmed)
    .filter((role) => role !== '');
  const unknown = named.find((role) => !(roles as readonly string[]).includes(role));
  if (unknown !== undefined) {
    throw callerUnknown(`X-Roles names ${JSON.stringify(unknown)}, which is none of ${roles.join(', ')}.`);
  }
  return { userId, roles: new Set(named.length > 0 ? (named as Role[]) : ['customer']) };
}

// Node reads a header's bytes as Latin-1 (RFC 9110, section 5.5), while clients send UTF-8: bytes that are valid UTF-8 are
// taken for it.
function decoded(header: string): string {
  const bytes = Buffer.from(header, 'latin1');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return header;
  }
}

/** Without the spaces that HTTP allows around a value (RFC 9110, section 5.5); `trim` would take away no-break spaces and a BOM, too. */
function trimmed(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, '');
}

function nameOf(character: string): string {
  const codePoint = `U+${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}`;
  return /\p{Cc}/u.test(character)
    ? `a control character, ${codePoint}`
    : `${codePoint}, a character that cannot be seen`;
}

function callerUnknown(detail: string): ProblemException {
  return new ProblemException({
    code: 'caller-unknown',
    ...commonProblems['caller-unknown'],
    detail,
    headers: { 'www-authenticate': 'Dev realm="twinbox", header="X-User-Id"' },
  });
}
