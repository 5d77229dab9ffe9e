import { PermanentError } from '../errors.js';
import { TimedOutError } from './job-failures.js';
import { type InFlightJob } from './leases.js';

/**
 * Runs the job's handler once. Ends with the handler or when the attempt is abandoned. A handler that ignores its signal keeps running
 * unattended.
 */
export async function attemptJob({ job, queue, abort }: InFlightJob): Promise<void> {
  const { id, data, attempts } = job;
  // Its last attempt was counted by a claim. Had it been recorded as a failure, the job would already be dead.
  if (attempts >= queue.maxAttempts)
    throw new PermanentError('no attempts left: the last process to run it crashed or lost its database connection');
  const { signal } = abort;
  const abandoned = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  const timer = setTimeout(() => abort.abort(new TimedOutError(queue.timeoutMs)), queue.timeoutMs);
  const handled = (async () => queue.handle({ id, queue: queue.name, data, attempt: attempts + 1 }, signal))();
  handled.catch(() => undefined);
  abandoned.catch(() => undefined);
  try {
    await Promise.race([handled, abandoned]);
  } finally {
    clearTimeout(timer);
  }
}
