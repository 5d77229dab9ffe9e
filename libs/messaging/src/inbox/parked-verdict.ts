import { describeError } from '../errors.js';
import { failureOf, isSetback, mayBeItsOwn } from '../postgres/failures.js';
import { type Setbacks, type WatchedAttempt } from '../postgres/setbacks.js';

/** Whether a failure can never succeed, is the fault of the environment, or counts as an attempt. */
export type ParkedVerdict = 'never' | 'setback' | 'attempt';

/**
 * Decides what a failed attempt at a parked message means.
 * @throws the error if the connection was lost, because that says nothing about the message
 */
export function verdictOn(error: unknown, watched: WatchedAttempt, setbacks: Setbacks): ParkedVerdict {
  const text = describeError(error);
  if (error instanceof DeadlyError || error instanceof UnreadableError) return 'never';
  // An earlier message of its key is parked, or a version that knows its type is still to come. Neither is the message's fault.
  if (error instanceof KeyHeldError) return 'setback';
  if (error instanceof UnknownTypeError) {
    setbacks.record(text);
    return 'setback';
  }
  const failure = error instanceof ConnectionEndedError ? 'unavailable' : failureOf(error);
  if (failure === 'away') throw error;
  if (!isSetback(failure)) return failure;
  if (mayBeItsOwn(failure)) return setbacks.countsAsAttempt(watched, text) ? 'attempt' : 'setback';
  setbacks.record(text);
  return 'setback';
}

/** The connection was lost while the message was handled. */
export class ConnectionEndedError extends Error {}

export class DeadlyError extends Error {
  constructor(deaths: number) {
    super(`the process died ${deaths} times while handling it`);
  }
}

/** An operator retried the message, and it still cannot be read. */
export class UnreadableError extends Error {}

/** The message waits for a process whose contract names its type. */
export class UnknownTypeError extends Error {}

/** The message was unreadable when it was parked, so it had no place in its key. It is readable now, but its key is held. */
export class KeyHeldError extends Error {}
