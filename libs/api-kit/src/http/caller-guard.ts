import { applyDecorators, type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiExtension } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { logContext } from '../app/logging.js';
import { bearerChallenge } from '../identity/token-problems.js';
import { type Caller, identityOf, type Role, roles } from './caller.js';
import { commonProblems } from './common-problems.js';
import { type EdgeRequest, requestOf } from './edge-request.js';
import { isForOperators, type ManagementAccess } from './management.js';
import { ProblemException } from './problem.js';
import { ticketOf } from './stream-ticket.js';

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
 * Allows anonymous callers, who send no token, or with `AUTH_MODE=dev` neither `X-User-Id` nor `X-Roles`. A caller who sends one of them is
 * identified as on any other route, so an invalid one is rejected. A route that requires a role remains closed to anonymous callers.
 */
export const AnonymousAllowed = (): MethodDecorator & ClassDecorator =>
  applyDecorators(SetMetadata(OPTIONAL, true), ApiExtension(OPTIONAL_CALLER_EXTENSION, true));

/** Requires one of these roles. Other callers get a 403. An admin has the role `operator` too. */
export const RequireRole = (...allowed: [Role, ...Role[]]): MethodDecorator & ClassDecorator =>
  applyDecorators(SetMetadata(ROLES, allowed), ApiExtension(ROLES_EXTENSION, allowed));

/** Why a request was refused because of its caller. */
export interface Refusal {
  /** `login` if the credentials are not accepted, `role` if the caller lacks a role. */
  readonly kind: 'login' | 'role';
  /** The detail of the problem. It repeats nothing of a token. */
  readonly reason: string;
}

/** Rejects requests whose caller is not identified or lacks the role that the route requires. `identifyCallers` must have run before. */
@Injectable()
export class CallerGuard implements CanActivate {
  /** `onRefusal` is called for each refused request that had credentials. */
  constructor(
    private readonly reflector: Reflector,
    private readonly management: ManagementAccess,
    private readonly onRefusal: (request: EdgeRequest, refusal: Refusal) => void = () => undefined,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const targets = [context.getHandler(), context.getClass()];
    if (this.reflector.getAllAndOverride<boolean | undefined>(PUBLIC, targets)) return true;

    const request = requestOf(context);
    const forOperators = context.getType() === 'http' && isForOperators(request as FastifyRequest);
    // The port rule has refused those that arrived at another port.
    if (forOperators && this.management !== 'operator') return true;
    // The handler checks the ticket, which a client sends instead of anything that identifies it.
    if (ticketOf(request) !== undefined) return true;
    const identity = identityOf(request);
    if (!identity) throw new Error('The caller has not been identified, because identifyCallers is not active.');
    const allowed = forOperators
      ? (['operator'] as const)
      : this.reflector.getAllAndOverride<Role[] | undefined>(ROLES, targets);
    if (!('caller' in identity)) {
      const mayBeAnonymous =
        !allowed && this.reflector.getAllAndOverride<boolean | undefined>(OPTIONAL, targets) === true;
      if (mayBeAnonymous && identity.isAnonymous) return true;
      const problem = identity.problem();
      // Without keys nobody can say whether the credentials are valid.
      if (!identity.isAnonymous && problem.getStatus() === 401)
        this.onRefusal(request, { kind: 'login', reason: problem.message });
      throw problem;
    }
    const { caller } = identity;
    logContext({ userId: caller.userId });
    // Without any role, a token is not meant for this service.
    const problem = roleProblem(caller, allowed ?? roles);
    if (!problem) return true;
    this.onRefusal(request, { kind: 'role', reason: problem.message });
    throw problem;
  }
}

function roleProblem(caller: Caller, allowed: readonly Role[]): ProblemException | undefined {
  if (allowed.some((role) => caller.roles.has(role))) return undefined;
  const detail = `This requires the role ${allowed.join(' or ')}.`;
  return new ProblemException({
    code: 'role-required',
    ...commonProblems['role-required'],
    detail,
    members: { roles: allowed },
    ...(caller.expiresAt && { headers: { 'www-authenticate': bearerChallenge('insufficient_scope', detail) } }),
  });
}
