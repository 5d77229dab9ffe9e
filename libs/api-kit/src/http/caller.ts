import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { type EdgeRequest, requestOf } from './edge-request.js';
import type { ProblemException } from './problem.js';

/** All roles. */
export const roles = ['customer', 'operator', 'admin'] as const;

/** A role of a caller. An admin is also an operator. No other role includes another. */
export type Role = (typeof roles)[number];

/** The user who makes a request. */
export interface Caller {
  /** 1 to 255 visible characters; U+0020 is allowed too. */
  readonly userId: string;
  readonly roles: ReadonlySet<Role>;
  /** With `AUTH_MODE=jwt`, when the token of the caller is no longer accepted. */
  readonly expiresAt?: Date;
  /** With `AUTH_MODE=jwt`, the id of the key that signed the token, if the token names it. */
  readonly keyId?: string;
}

/** A request without a valid caller. */
export interface Unidentified {
  /** Whether the request does not even claim to come from a user. */
  readonly isAnonymous: boolean;
  /** Returns the problem for routes that require a caller. */
  readonly problem: () => ProblemException;
}

/** Who makes a request. */
export type Identity = { readonly caller: Caller } | Unidentified;

const identities = new WeakMap<object, Identity>();

/** Injects the caller into a handler: `@Caller() { userId }: Caller`. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): Caller =>
  callerOfRequest(requestOf(context)),
);

/** Injects the caller of an `AnonymousAllowed` route into a handler; undefined for an anonymous caller. */
export const OptionalCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller | undefined =>
  callerIn(identityOf(requestOf(context))),
);

/** Records who makes a request. */
export function setIdentity({ raw }: Pick<EdgeRequest, 'raw'>, identity: Identity): void {
  identities.set(raw, identity);
}

/** Returns who makes a request, or undefined before that is known. */
export function identityOf({ raw }: Pick<EdgeRequest, 'raw'>): Identity | undefined {
  return identities.get(raw);
}

/** Returns the caller of a request. @throws Error on a route whose caller is not identified */
export function callerOfRequest(request: EdgeRequest): Caller {
  const caller = callerIn(identityOf(request));
  if (!caller) throw new Error('This route has no caller, because it is @Public() or the CallerGuard is not active.');
  return caller;
}

/** Returns the caller if there is one. */
export function callerIn(identity: Identity | undefined): Caller | undefined {
  return identity && 'caller' in identity ? identity.caller : undefined;
}

/** Adds the roles that the given ones include. */
export function withIncluded(given: readonly Role[]): ReadonlySet<Role> {
  return new Set(given.includes('admin') ? [...given, 'operator'] : given);
}

/** Whether the caller has the role of an operator. An anonymous caller does not. */
export function isOperator(caller: Caller | undefined): boolean {
  return caller?.roles.has('operator') === true;
}

/** Returns the actor for the history, by the most powerful role of the caller: `admin:root`, `operator:olga` or `customer:ada`. */
export function actorOf(caller: Caller): string {
  const role = (['admin', 'operator'] as const).find((each) => caller.roles.has(each)) ?? 'customer';
  return `${role}:${caller.userId}`;
}

/** Returns the actor as this caller may see it. Customers are not told which operator or admin it was. */
export function actorSeenBy(caller: Caller, actor: string): string {
  return isOperator(caller) || !/^(operator|admin):/.test(actor) ? actor : 'operator';
}
