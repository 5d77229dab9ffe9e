import { commonProblems, KEYS_NOT_LOADED, OUTCOME_UNKNOWN, overloaded } from '../common-problems.js';
import { MAX_HEADERS } from '../framing.js';
import { type DocumentedProblem, versionConflictSchemas, violationSchemas } from './problem-schemas.js';

/** The problems that any route may have, with the examples that the document shows. */
export const examples = {
  validation: (hasBody: boolean): DocumentedProblem => ({
    code: 'validation',
    ...commonProblems.validation,
    detail: hasBody ? '#/quantity: must be a positive number.' : 'id: must be a UUID.',
    members: {
      errors: [
        hasBody
          ? { pointer: '#/quantity', detail: 'must be a positive number' }
          : { parameter: 'id', detail: 'must be a UUID' },
      ],
    },
    schemas: violationSchemas,
  }),
  badPath: {
    code: 'bad-request',
    status: 400,
    title: 'The path is not valid.',
    detail: 'The path must begin with /, and what is percent-encoded must be valid UTF-8.',
  },
  malformedBody: {
    code: 'malformed-body',
    ...commonProblems['malformed-body'],
    detail: 'The body is not valid UTF-8.',
  },
  callerUnknown: {
    code: 'caller-unknown',
    ...commonProblems['caller-unknown'],
    detail: 'The X-User-Id header is missing or empty.',
  },
  tokenRefused: {
    code: 'caller-unknown',
    ...commonProblems['caller-unknown'],
    detail: 'The token has expired.',
  },
  headTooLarge: {
    code: 'request-header-fields-too-large',
    status: 431,
    title: 'The head of the request is too large.',
    detail: `The request has more than ${MAX_HEADERS} headers.`,
  },
  keysUnavailable: {
    code: 'keys-unavailable',
    ...commonProblems['keys-unavailable'],
    detail: KEYS_NOT_LOADED,
  },
  roleRequired: (roles: string[]): DocumentedProblem => ({
    code: 'role-required',
    ...commonProblems['role-required'],
    detail: `This requires the role ${roles.join(' or ')}.`,
    members: { roles },
  }),
  versionConflict: {
    code: 'version-conflict',
    ...commonProblems['version-conflict'],
    detail: 'The resource was at version 2 when you read it and is now at version 3.',
    members: { expected: 2, actual: 3 },
    schemas: versionConflictSchemas,
    optional: ['expected'],
  },
  keyInvalid: {
    code: 'idempotency-key-invalid',
    ...commonProblems['idempotency-key-invalid'],
    detail: 'Idempotency-Key must be 1 to 255 visible ASCII characters, or a string in quotes.',
  },
  keyReused: {
    code: 'idempotency-key-reused',
    ...commonProblems['idempotency-key-reused'],
  },
  tooLarge: {
    code: 'payload-too-large',
    ...commonProblems['payload-too-large'],
    detail: 'Request body is too large',
  },
  mediaType: {
    code: 'unsupported-media-type',
    ...commonProblems['unsupported-media-type'],
    detail: 'The body must be in UTF-8.',
  },
  tooManyRequests: {
    code: 'too-many-requests',
    ...commonProblems['too-many-requests'],
    detail: 'The limit is 1200 writes per minute. Nothing was changed. Try again in 12 s.',
  },
  internalError: {
    code: 'internal-error',
    ...commonProblems['internal-error'],
    detail: 'Quote the instance when you report this problem.',
  },
  overloaded: {
    code: 'overloaded',
    ...commonProblems.overloaded,
    detail: overloaded.detail(),
  },
  databaseUnavailable: {
    code: 'database-unavailable',
    ...commonProblems['database-unavailable'],
    detail: OUTCOME_UNKNOWN,
  },
  tryAgain: {
    code: 'try-again',
    ...commonProblems['try-again'],
    detail: OUTCOME_UNKNOWN,
  },
};
