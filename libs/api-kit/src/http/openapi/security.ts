import type { DocumentBuilder } from '@nestjs/swagger';
import type { ServiceConfig } from '../../app/service-config.js';
import { OPTIONAL_CALLER_EXTENSION, PUBLIC_EXTENSION, ROLES_EXTENSION } from '../caller-guard.js';
import { roles } from '../caller.js';
import { MANAGEMENT_EXTENSION, type ManagementAccess } from '../management.js';
import { examples } from './common-problem-examples.js';
import type { Operation } from './operation.js';
import type { DocumentedProblem } from './problem-schemas.js';
import { headersOf } from './response-headers.js';

export type AuthMode = ServiceConfig['AUTH_MODE'];

/** Documents how callers identify themselves. */
export function addSecuritySchemes(document: DocumentBuilder, authMode: AuthMode): DocumentBuilder {
  if (authMode === 'jwt') {
    const description = `An access token of the OpenID provider. Roles: ${roles.join(', ')}. An admin is also an operator.`;
    return document.addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description }, 'token');
  }
  return document
    .addApiKey(
      {
        type: 'apiKey',
        in: 'header',
        name: 'X-User-Id',
        description: 'The user id of the caller, 1 to 255 characters.',
      },
      'user',
    )
    .addApiKey(
      {
        type: 'apiKey',
        in: 'header',
        name: 'X-Roles',
        description:
          'The roles of the caller, a comma-separated list of customer, operator and admin. An admin is also an operator. Default: customer.',
      },
      'roles',
    );
}

/** Says of an operation for operators who may call it, like the decorators of other operations. */
export function resolveManagement(operation: Operation, access: ManagementAccess): void {
  if (operation[MANAGEMENT_EXTENSION]) {
    if (access === 'operator') operation[ROLES_EXTENSION] = ['operator'];
    else operation[PUBLIC_EXTENSION] = true;
  }
  delete operation[MANAGEMENT_EXTENSION];
}

/** Returns who may call the operation. */
export function securityOf(operation: Operation, authMode: AuthMode): Record<string, string[]>[] {
  if (operation[PUBLIC_EXTENSION]) return [];
  const required = operation[ROLES_EXTENSION];
  // The empty requirement makes the others optional (OpenAPI 3.0.3, "Security Requirement Object").
  const anonymous = operation[OPTIONAL_CALLER_EXTENSION] && !required ? [{}] : [];
  // OpenAPI 3.1 lists the required roles there.
  if (authMode === 'jwt') return [...anonymous, { token: required ?? [] }];
  if (required) return [{ user: [], roles: [] }];
  return [...anonymous, { user: [] }, { user: [], roles: [] }];
}

/** Returns the problems of an operation whose caller is not identified or lacks a role. */
export function securityProblemsOf(operation: Operation, authMode: AuthMode): DocumentedProblem[] {
  if (operation[PUBLIC_EXTENSION]) return [];
  const required = operation[ROLES_EXTENSION];
  const roleRequired = required ? [examples.roleRequired(required)] : [];
  if (authMode === 'dev') return [examples.callerUnknown, ...roleRequired];
  // A token may grant none of the roles, so that any route needs one.
  return [examples.tokenRefused, examples.roleRequired(required ?? [...roles]), examples.keysUnavailable];
}

/** Documents that a token without the required role is answered with a challenge, as RFC 6750 requires. */
export function documentChallenge({ responses }: Operation, authMode: AuthMode): void {
  const forbidden = responses['403'];
  if (authMode === 'jwt' && forbidden) forbidden.headers = { ...headersOf[401], ...forbidden.headers };
}
