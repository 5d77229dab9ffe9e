import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** All roles. */
export const roles = ['customer', 'operator', 'admin'] as const;

/** A role of a caller. Roles do not include each other: an admin who also acts as an operator needs both. */
export type Role = (typeof roles)[number];

/** The user who makes a request. */
export interface Caller {
  /** 1 to 255 visible characters; U+0020 is allowed too. */
  readonly userId: string;
  readonly roles: ReadonlySet<Role>;
}

const callers = new WeakMap<object, Caller>();

/** Injects the caller into a handler: `@Caller() { userId }: Caller`. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): Caller =>
  callerOfRequest(context.switchToHttp().getRequest<FastifyRequest>()),
);

/** Injects the caller of an `AnonymousAllowed` route into a handler; undefined for an anonymous caller. */
export const OptionalCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller | undefined =>
  callers.get(context.switchToHttp().getRequest<FastifyRequest>().raw),
);

/** Sets the caller of a request. */
export function setCaller({ raw }: FastifyRequest, caller: Caller): void {
  callers.set(raw, caller);
}

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

/** Returns the actor as this caller may see it. Customers are not told which operator it was. */
export function actorSeenBy(caller: Caller, actor: string): string {
  return isOperator(caller) || !actor.startsWith('operator:') ? actor : 'operator';
}
