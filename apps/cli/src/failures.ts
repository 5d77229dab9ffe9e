import { CommanderError } from 'commander';
import { TwinboxConnectionError, TwinboxProblem } from '@twinbox/client';

export const DONE = 0;
/** The service has refused the command, cannot be reached, or could not carry out all of it. */
export const FAILED = 1;
/** The command was not understood, so nothing was sent. */
export const WRONG_USAGE = 2;

/** The command cannot be carried out as it is given. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The command was understood, and cannot be carried out. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}

/** A failure as it is reported: a text for people, and a problem document for scripts. */
export interface Failure {
  readonly exitCode: number;
  readonly text: string;
  readonly problem: Readonly<Record<string, unknown>>;
}

/** What a person should do about a problem, by its code or status. */
const ADVICE: Readonly<Record<string, string>> = {
  401: 'Set TWINBOX_TOKEN or TWINBOX_TOKEN_FILE to a valid access token. A service with AUTH_MODE=dev needs TWINBOX_USER instead.',
  403: 'Use a token with that role. Operators may look, and only admins may change. With AUTH_MODE=dev, set TWINBOX_ROLES=admin.',
  404: 'It may have been handled in the meantime. List what there is.',
  429: 'Wait a moment, and run the command again.',
};

/** Turns anything that a command throws into its report. */
export function failureOf(error: unknown): Failure {
  if (error instanceof TwinboxProblem) return refused(error);
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

function refused({ document, status, errors, request, requestId }: TwinboxProblem): Failure {
  const { origin } = new URL(request.url);
  const { title, detail } = document;
  const violations = errors.map(({ pointer, parameter, detail }) => `  ${pointer ?? parameter ?? ''}: ${detail}`);
  // The detail of an invalid request has the same violations, in one line.
  const reasons = violations.length > 0 ? [title] : [...new Set([title, detail])];
  const lines = [`${origin} has refused the command: ${reasons.filter(Boolean).join(' ')}`, ...violations];
  const advice = ADVICE[status];
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

const document = (code: string, title: string, detail: string) => ({ type: `urn:twinbox:cli:${code}`, title, detail });
