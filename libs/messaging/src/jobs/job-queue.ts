import { type EntityManager } from 'typeorm';

/**
 * A call to another system. The call may be made more than once, but always with the same `id`, which serves as the receiver's
 * idempotency key.
 */
export interface Job<Data = unknown> {
  readonly id: string;
  readonly queue: string;
  readonly data: Data;
  /** 1 for the first attempt. */
  readonly attempt: number;
}

/** How each process runs the jobs of one queue. */
export interface JobOptions {
  /** How many jobs run concurrently. Default 4. */
  readonly concurrency?: number;
  /**
   * How many times a job may fail before it is dead, that is, kept until an operator retries or discards it. Outages of the
   * database do not count. Default 10.
   */
  readonly maxAttempts?: number;
  /** The wait after a job's first failure, doubled after each further one up to `maxMs`. Default 1 s and 5 min. */
  readonly backOff?: { readonly firstMs: number; readonly maxMs: number };
  /** How long an attempt may take before it fails: its signal aborts, and the job is retried. In milliseconds, default 60 s. */
  readonly timeoutMs?: number;
  /** Default: the handler accepts any JSON. */
  readonly check?: JobCheck;
}

/**
 * Returns what is wrong with data that an operator has edited, without repeating the data; undefined if the handler accepts it. `original`
 * is the data before the edit. It was not checked either.
 */
export type JobCheck = (data: unknown, original: unknown) => string | undefined;

/**
 * Makes the call of one job. When the method returns, the job is done and removed. When it throws a `PermanentError`, the job is dead
 * at once; after any other error it is retried with back-off. `signal` aborts when the attempt is abandoned: it timed out, the process
 * is shutting down, or another process has taken the job over.
 */
export type JobHandlerMethod<Data = never> = (job: Job<Data>, signal: AbortSignal) => Promise<void>;

/**
 * Reacts to the death of a job, and receives the reason in words. It runs in the transaction that marks the job dead: both commit, or
 * neither (P1). If it throws, the job is not dead, and the worker retries shortly after. So the method may be called more than once,
 * and a failure undoes only what it wrote in `tx`.
 */
export type JobDeadMethod<Data = never> = (tx: EntityManager, job: Job<Data>, reason: string) => Promise<void>;

/** A queue as its handler declares it, with the defaults filled in. */
export interface JobQueue {
  readonly name: string;
  readonly concurrency: number;
  readonly maxAttempts: number;
  readonly backOff: { readonly firstMs: number; readonly maxMs: number };
  readonly timeoutMs: number;
  readonly check: JobCheck | undefined;
  readonly handle: JobHandlerMethod<unknown>;
  readonly dead: JobDeadMethod<unknown> | undefined;
}

/** The longest delay that setTimeout supports. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Completes the options of a queue with the defaults.
 * @throws when an option is invalid, so that a mistake shows at startup and not with the first job that fails
 */
export function jobQueue(
  name: string,
  options: JobOptions,
  handle: JobHandlerMethod<unknown>,
  dead?: JobDeadMethod<unknown>,
): JobQueue {
  const queue = {
    name,
    concurrency: options.concurrency ?? 4,
    maxAttempts: options.maxAttempts ?? 10,
    backOff: options.backOff ?? { firstMs: 1000, maxMs: 300_000 },
    timeoutMs: options.timeoutMs ?? 60_000,
    check: options.check,
    handle,
    dead,
  };
  const { concurrency, maxAttempts, backOff, timeoutMs } = queue;
  const counts = Number.isInteger(concurrency) && concurrency >= 1 && maxAttempts >= 1;
  if (!(
    counts &&
    backOff.firstMs > 0 &&
    backOff.maxMs >= backOff.firstMs &&
    timeoutMs > 0 &&
    timeoutMs <= MAX_TIMEOUT_MS
  )) {
    throw new Error(
      `Job queue ${name}: concurrency must be a whole number of at least 1, maxAttempts at least 1, ` +
        `backOff 0 < firstMs <= maxMs, and 0 < timeoutMs <= ${MAX_TIMEOUT_MS}`,
    );
  }
  return queue;
}
