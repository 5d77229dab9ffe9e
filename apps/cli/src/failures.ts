import { CommanderError } from 'commander';
import { TwinboxConnectionError, TwinboxProblem } from '@twinbox/client';

export const DONE = 0;
/** The service has refused the command, cannot be reached, or could not carry out all of it. */
export const FAILED = 1;
/** The command was not understood, so nothing was sent. */
export const WRONG_USAGE = 2;
/** A person has ended the command with Ctrl-C; the code is that of shells. */
export const INTERRUPTED = 130;

/** The command cannot be carried out as it is given. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The command was understood, and cannot be carried out. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}

/** A person has ended the command with Ctrl-C. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';

  constructor() {
    super('Interrupted.');
  }
}

/** No service has answered. */
export class ServicesFailed extends Error {
  override readonly name = 'ServicesFailed';

  constructor(readonly errors: ReadonlyMap<string, unknown>) {
    super('No service has answered.');
  }
}

/** A failure as it is reported: a text for people, and a problem document for scripts. */
export interface Failure {
  readonly exitCode: number;
  readonly text: string;
  readonly problem: Readonly<Record<string, unknown>>;
}

/** What a person should do about a problem, by its status. */
const ADVICE: Readonly<Record<string, string>> = {
  401: 'Set TWINBOX_TOKEN or TWINBOX_TOKEN_FILE to a valid access token. A service with AUTH_MODE=dev needs TWINBOX_USER instead.',
  403: 'Use a token with that role. Operators may look, and only admins may change. With AUTH_MODE=dev, set TWINBOX_ROLES=admin.',
  429: 'Wait a moment, and run the command again.',
};

/** What a person should do about a 404, by its code. The details of other codes say enough. */
const MISSING: Readonly<Record<string, string>> = {
  'dead-letter-not-found':
    'List the dead letters with "twinbox dead-letters list", and the messages that are retried with "twinbox parked list".',
  'parked-message-not-found':
    'List what waits with "twinbox parked list", and what has died with "twinbox dead-letters list".',
  'dead-job-not-found': 'List the dead jobs with "twinbox jobs list".',
  'operation-not-found': 'List the operations with "twinbox operations list".',
  'incident-not-found': 'List the open incidents with "twinbox incidents list".',
  'order-not-found': 'Check the id of the order.',
  'payment-request-not-found': 'Check the id of the refund. "twinbox refunds list" lists those that are pending.',
};
/** Codes of answers that no operation of the service gives, or that do not come from the service. */
const WRONG_ADDRESS = new Set(['not-found', 'unknown']);

function adviceOn({ status, code }: TwinboxProblem): string | undefined {
  if (status !== 404) return ADVICE[status];
  if (WRONG_ADDRESS.has(code))
    return 'Nothing is at this address. Check TWINBOX_ORDERS_URL and TWINBOX_PAYMENTS_URL, and that the service has the version of this program.';
  return MISSING[code];
}

/** Turns anything that a command throws into its report. */
export function failureOf(error: unknown): Failure {
  if (error instanceof TwinboxProblem) return refused(error);
  if (error instanceof ServicesFailed) return allFailed(error);
  if (error instanceof Interrupted)
    return {
      exitCode: INTERRUPTED,
      text: error.message,
      problem: document('interrupted', 'The command was interrupted.', error.message),
    };
  // The token of a request could not be read.
  if (error instanceof TwinboxConnectionError && error.cause instanceof CommandFailed) return failureOf(error.cause);
  if (error instanceof TwinboxConnectionError) return unanswered(error);
  if (error instanceof UsageError || error instanceof CommanderError) {
    // commander has printed the commands that there are.
    const isMissing = error instanceof CommanderError && error.code === 'commander.help';
    const detail = isMissing ? 'A command is missing.' : error.message.replace(/^error: /, '');
    return { exitCode: WRONG_USAGE, text: detail, problem: document('usage', 'The command is not valid.', detail) };
  }
  const detail = error instanceof Error ? error.message : String(error);
  return { exitCode: FAILED, text: detail, problem: document('failed', 'The command has failed.', detail) };
}

function refused(problem: TwinboxProblem): Failure {
  const { document, status, errors, request, requestId } = problem;
  const { origin } = new URL(request.url);
  const { title, detail } = document;
  const violations = errors.map(({ pointer, parameter, detail }) => `  ${pointer ?? parameter ?? ''}: ${detail}`);
  // The detail of an invalid request has the same violations, in one line.
  const reasons = violations.length > 0 ? [title] : [...new Set([title, detail])];
  const lines = [`${origin} has refused the command: ${reasons.filter(Boolean).join(' ')}`, ...violations];
  const advice = adviceOn(problem);
  if (advice) lines.push(advice);
  if (requestId && status >= 500) lines.push(`The log of the service has the details of request ${requestId}.`);
  return { exitCode: FAILED, text: lines.join('\n'), problem: { ...document } };
}

function unanswered({ request, message }: TwinboxConnectionError): Failure {
  const { origin } = new URL(request.url);
  const { method, attempts, idempotencyKey } = request;
  const isUnknown = method !== 'GET' && attempts > 0;
  const lines = [
    `${origin} cannot be reached. ${message}`,
    'Check that the service runs, and TWINBOX_ORDERS_URL and TWINBOX_PAYMENTS_URL.',
    ...(isUnknown ? ['It is unknown whether the change was made. Look before you run the command again.'] : []),
  ];
  const problem = document('unreachable', 'The service cannot be reached.', message);
  return {
    exitCode: FAILED,
    text: lines.join('\n'),
    problem: { ...problem, ...(idempotencyKey && { idempotencyKey }) },
  };
}

function allFailed({ errors, message }: ServicesFailed): Failure {
  const failures = [...errors].map(([service, error]) => ({ service, failure: failureOf(error) }));
  const [first] = failures;
  if (first && failures.length === 1) return first.failure;
  const text = [...new Set(failures.map(({ failure }) => failure.text))].join('\n');
  const problems = failures.map(({ service, failure }) => ({ service, ...failure.problem }));
  return { exitCode: FAILED, text, problem: { ...document('failed', message, text), errors: problems } };
}

const document = (code: string, title: string, detail: string) => ({ type: `urn:twinbox:cli:${code}`, title, detail });
