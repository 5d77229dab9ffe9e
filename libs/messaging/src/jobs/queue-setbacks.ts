import { type Failure, isSetback, mayBeItsOwn } from '../postgres/failures.js';
import { Setbacks, type WatchedAttempt } from '../postgres/setbacks.js';

/** Whether a failure is the environment's fault, can never succeed, or counts as an attempt. */
export type Verdict = 'setback' | 'never' | 'attempt';

/** What the jobs of a queue reveal about the environment. */
export class QueueSetbacks {
  /** How many jobs this process has finished. */
  done = 0;
  readonly seen: Setbacks;

  constructor(warn: (line: string) => void) {
    this.seen = new Setbacks(() => this.done, warn);
  }

  verdictOn(watched: WatchedAttempt, failure: Failure, text: string): Verdict {
    const { seen } = this;
    if (failure === 'never' || failure === 'attempt') return failure;
    if (isSetback(failure) && mayBeItsOwn(failure)) return seen.countsAsAttempt(watched, text) ? 'attempt' : 'setback';
    seen.record(text);
    return 'setback';
  }
}
