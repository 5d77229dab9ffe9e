import { applyDecorators, type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiExtension } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { logContext } from '../app/logging.js';
import { type Role, setCaller } from './caller.js';
import { CALLER_HEADERS, callerOf } from './caller-headers.js';
import { commonProblems } from './common-problems.js';
import { ProblemException } from './problem.js';

const PUBLIC = 'twinbox:public';
const OPTIONAL = 'twinbox:optional-caller';
const ROLES = 'twinbox:roles';
/** Mark who may call a route while the OpenAPI document is generated. They are not in the final document. */
export const PUBLIC_EXTENSION = 'x-public';
export const OPTIONAL_CALLER_EXTENSION = 'x-optional-caller';
export const ROLES_EXTENSION = 'x-required-roles';

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

    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const { headersDistinct } = request.raw;
    const allowed = this.reflector.getAllAndOverride<Role[] | undefined>(ROLES, targets);
    const mayBeAnonymous =
      !allowed && this.reflector.getAllAndOverride<boolean | undefined>(OPTIONAL, targets) === true;
    const isIdentified = CALLER_HEADERS.some((name) => name.toLowerCase() in headersDistinct);
    if (mayBeAnonymous && !isIdentified) return true;

    const caller = callerOf(headersDistinct);
    setCaller(request, caller);
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
