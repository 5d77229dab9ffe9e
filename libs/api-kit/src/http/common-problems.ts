import { STATUS_CODES } from 'node:http';

/** Problems that do not come from a rejection and can occur on any route. */
export const commonProblems = {
  'malformed-body': { status: 400, title: 'The body is not valid JSON.' },
  validation: { status: 400, title: 'The request is not valid.' },
  'idempotency-key-invalid': { status: 400, title: 'The idempotency key is not valid.' },
  'caller-unknown': { status: 401, title: 'The caller could not be identified.' },
  'role-required': { status: 403, title: 'The caller does not have the required role.' },
  'version-conflict': { status: 412, title: 'The current version does not meet the precondition of the request.' },
  'payload-too-large': { status: 413, title: 'The body is too large.' },
  'unsupported-media-type': { status: 415, title: 'The body must be application/json.' },
  'misdirected-request': { status: 421, title: 'This service does not answer requests for this host.' },
  'idempotency-key-reused': { status: 422, title: 'The idempotency key was used for another request.' },
  'too-many-requests': { status: 429, title: 'The client has made too many requests.' },
  'internal-error': { status: 500, title: 'Something went wrong in the service.' },
  'database-unavailable': { status: 503, title: 'The database cannot be reached at the moment.' },
  'try-again': { status: 503, title: 'The request could not be completed at the moment.' },
  'keys-unavailable': { status: 503, title: 'Access tokens cannot be verified at the moment.' },
  overloaded: { status: 503, title: 'This replica has more to do than it can.' },
  'service-stopping': { status: 503, title: 'This replica is shutting down.' },
} as const;

/** The detail of a 503. A COMMIT may have been carried out although its response was lost. */
export const OUTCOME_UNKNOWN =
  'Try again in a moment. A change may or may not have been made, so check before you repeat it.';

/** The detail of a 503 while no token can be verified. */
export const KEYS_NOT_LOADED =
  'The keys of the identity provider have not been loaded yet. Nothing was changed. Try again in a moment.';

/** Tells a client to try again after a second. A 429 may name a longer time. */
export const RETRY_AFTER = { 'retry-after': '1' } as const;

/** The entry in a service's problem table for requests that arrive while the replica shuts down. */
export const serviceStopping = {
  ...commonProblems['service-stopping'],
  detail: () => 'Nothing was changed. Send the request again, and another replica will answer it.',
};

/** The entry for requests that arrive while the event loop is too slow. */
export const overloaded = {
  ...commonProblems.overloaded,
  detail: () => 'Nothing was changed. Try again in a moment.',
};

/** Returns the code for a status that HTTP itself explains, such as `not-found` for 404. */
export function codeOfStatus(status: number): string {
  return (STATUS_CODES[status] ?? 'error').toLowerCase().replace(/[^a-z]+/g, '-');
}
