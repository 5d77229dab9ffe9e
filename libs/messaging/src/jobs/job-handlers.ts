import { Injectable, SetMetadata } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { type EntityManager } from 'typeorm';

const JOB_HANDLER = Symbol('JOB_HANDLER');
const JOB_DEAD = Symbol('JOB_DEAD');

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
}

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
  readonly handle: JobHandlerMethod<unknown>;
  readonly dead: JobDeadMethod<unknown> | undefined;
}

interface Declaration {
  readonly queue: string;
  readonly options: JobOptions;
}

/** The longest delay that setTimeout supports. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Makes a method of a provider or controller the handler of a queue's jobs. A queue has one handler, and its provider must be a
 * singleton. Nest's guards, pipes and interceptors do not apply.
 */
export function JobHandler(queue: string, options: JobOptions = {}) {
  return <Method extends JobHandlerMethod>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): void => {
    if (descriptor.value && new Reflector().get(JOB_HANDLER, descriptor.value) !== undefined)
      throw new Error(`${String(name)} is declared as the handler of two queues; only the last would take effect`);
    SetMetadata(JOB_HANDLER, { queue, options } satisfies Declaration)(target, name, descriptor);
  };
}

/**
 * Makes a method of a provider or controller react to a queue's dead jobs, for example to record the failure where operators see it,
 * or to take another course. A queue has one such method, in a process that also handles the queue.
 */
export function JobDead(queue: string) {
  return <Method extends JobDeadMethod>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): void => void SetMetadata(JOB_DEAD, queue)(target, name, descriptor);
}

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

/** A method that a decorator of this file marks, on an instance. */
interface Marked<Value, Method> {
  readonly value: Value;
  /** Bound to its instance. */
  readonly method: Method;
  /** The class and method, for error messages. */
  readonly where: string;
}

/** Finds the methods marked with `JobHandler` and `JobDead`, after all providers were instantiated. */
@Injectable()
export class JobHandlers {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly reflector: Reflector,
  ) {}

  /**
   * @throws when a queue has two handlers or two `@JobDead` methods, when one of them is not on a singleton, or when a `@JobDead`
   * method belongs to a queue without a handler
   */
  find(): JobQueue[] {
    const deadMethods = new Map<string, JobDeadMethod<unknown>>();
    for (const { value: queue, method, where } of this.marked<string, JobDeadMethod<unknown>>(JOB_DEAD)) {
      if (deadMethods.has(queue)) throw new Error(`${where} is a second @JobDead method for the queue ${queue}`);
      deadMethods.set(queue, method);
    }
    const queues = new Map<string, JobQueue>();
    for (const { value, method, where } of this.marked<Declaration, JobHandlerMethod<unknown>>(JOB_HANDLER)) {
      const { queue, options } = value;
      if (queues.has(queue)) throw new Error(`${where} is a second handler for the queue ${queue}`);
      queues.set(queue, jobQueue(queue, options, method, deadMethods.get(queue)));
    }
    // This process would never call it, and it may be missing in the process that runs the jobs.
    const unhandled = [...deadMethods.keys()].find((queue) => !queues.has(queue));
    if (unhandled !== undefined)
      throw new Error(`The queue ${unhandled} has a @JobDead method but no handler in this process`);
    return [...queues.values()];
  }

  private *marked<Value, Method>(mark: symbol): Generator<Marked<Value, Method>> {
    const seen = new Set<object>();
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const instance: unknown = wrapper.instance;
      // With a provider alias the same instance appears under two tokens.
      if (typeof instance !== 'object' || instance === null || seen.has(instance)) continue;
      seen.add(instance);
      for (const name of this.scanner.getAllMethodNames(Object.getPrototypeOf(instance) as object | null)) {
        const method = (instance as Record<string, unknown>)[name];
        if (typeof method !== 'function') continue;
        const value = this.reflector.get<Value | undefined, symbol>(mark, method);
        if (value === undefined) continue;
        const where = `${instance.constructor.name}.${name}`;
        if (!wrapper.isDependencyTreeStatic() || wrapper.isTransient)
          throw new Error(`${where} is called for jobs, so its provider must be a singleton`);
        yield { value, method: method.bind(instance) as Method, where };
      }
    }
  }
}
