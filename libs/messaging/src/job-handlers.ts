import { Injectable, SetMetadata } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { type EntityManager } from 'typeorm';

const JOB_HANDLER = Symbol('JOB_HANDLER');
const JOB_DEAD = Symbol('JOB_DEAD');

/** A call to be made. It may be made more than once: `id` is the same each time, and serves as the receiver's idempotency key. */
export interface Job<Data = unknown> {
  readonly id: string;
  readonly queue: string;
  readonly data: Data;
  /** 1 for the first attempt. */
  readonly attempt: number;
}

/** How the jobs of one queue are run, by each process. */
export interface JobOptions {
  /** Jobs run at the same time. Default 4. */
  readonly concurrency?: number;
  /** How often a job may fail before it is dead: kept for a person to retry or discard. Outages of the database do not count. Default 10. */
  readonly maxAttempts?: number;
  /** The wait after a job's first failure, doubled with each further one up to `maxMs`. Default 1 s and 5 min. */
  readonly backOff?: { readonly firstMs: number; readonly maxMs: number };
  /** An attempt that takes longer has failed: its signal aborts, and the job is tried again later. In milliseconds, default 60 s. */
  readonly timeoutMs?: number;
}

/**
 * Makes the call of one job. Return: done, the job is gone. Throw `PermanentError`: dead at once. Throw anything else: tried
 * again with back-off. `signal` aborts when the attempt is given up: it has timed out, the process stops, or another has the job.
 */
export type JobHandlerMethod<Data = never> = (job: Job<Data>, signal: AbortSignal) => Promise<void>;

/**
 * Hears that a job is dead, with the reason in words, in the transaction that marks it so: both commit, or neither (P1). When it
 * throws, the job is not dead: a little later it is tried to mark it again. It may so be called more than once, and takes back
 * nothing but what it writes in `tx`.
 */
export type JobDeadMethod<Data = never> = (tx: EntityManager, job: Job<Data>, reason: string) => Promise<void>;

/** One queue as its handler was declared; what the options leave out has its default. */
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

/** What setTimeout can count. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Makes a method of a provider or controller the handler of a queue's jobs. One handler a queue; the provider is a singleton.
 * Nest's guards, pipes and interceptors do not apply.
 */
export function JobHandler(queue: string, options: JobOptions = {}) {
  return <Method extends JobHandlerMethod>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): void => {
    if (descriptor.value && new Reflector().get(JOB_HANDLER, descriptor.value) !== undefined)
      throw new Error(`${String(name)} handles two queues; only the last would count`);
    SetMetadata(JOB_HANDLER, { queue, options } satisfies Declaration)(target, name, descriptor);
  };
}

/**
 * Makes a method of a provider or controller the one that hears of a queue's dead jobs: to write it down where people look, or
 * to go another way. One a queue, in a process that handles the queue.
 */
export function JobDead(queue: string) {
  return <Method extends JobDeadMethod>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): void => void SetMetadata(JOB_DEAD, queue)(target, name, descriptor);
}

/** @throws when an option makes no sense: better at the start than with the first failing job */
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
    timeoutMs <= LONGEST_MS
  )) {
    throw new Error(
      `Job queue ${name}: concurrency (whole) and maxAttempts are at least 1, backOff is 0 < firstMs <= maxMs, 0 < timeoutMs <= ${LONGEST_MS}`,
    );
  }
  return queue;
}

/** A method of an instance that a decorator of this file marks. */
interface Marked<Value, Method> {
  readonly value: Value;
  /** Bound to its instance. */
  readonly method: Method;
  /** For people. */
  readonly where: string;
}

/** Finds the methods that `JobHandler` and `JobDead` mark, once everything is instantiated. */
@Injectable()
export class JobHandlers {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly reflector: Reflector,
  ) {}

  /** @throws when a queue has two of them, one that is made anew for each request, or one that hears of a queue nobody handles */
  find(): JobQueue[] {
    const listeners = new Map<string, JobDeadMethod<unknown>>();
    for (const { value: queue, method, where } of this.marked<string, JobDeadMethod<unknown>>(JOB_DEAD)) {
      if (listeners.has(queue)) throw new Error(`${where} is a second one that hears of dead jobs of ${queue}`);
      listeners.set(queue, method);
    }
    const queues = new Map<string, JobQueue>();
    for (const { value, method, where } of this.marked<Declaration, JobHandlerMethod<unknown>>(JOB_HANDLER)) {
      const { queue, options } = value;
      if (queues.has(queue)) throw new Error(`${where} is a second handler for the jobs of ${queue}`);
      queues.set(queue, jobQueue(queue, options, method, listeners.get(queue)));
    }
    // Nobody here would call it, and in the process that runs the jobs it may be missing.
    const idle = [...listeners.keys()].find((queue) => !queues.has(queue));
    if (idle !== undefined)
      throw new Error(`There is no handler for the jobs of ${idle}, only one that hears of dead ones`);
    return [...queues.values()];
  }

  private *marked<Value, Method>(mark: symbol): Generator<Marked<Value, Method>> {
    const seen = new Set<object>();
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const instance: unknown = wrapper.instance;
      // An alias is the same instance under another token.
      if (typeof instance !== 'object' || instance === null || seen.has(instance)) continue;
      seen.add(instance);
      for (const name of this.scanner.getAllMethodNames(Object.getPrototypeOf(instance) as object | null)) {
        const method = (instance as Record<string, unknown>)[name];
        if (typeof method !== 'function') continue;
        const value = this.reflector.get<Value | undefined, symbol>(mark, method);
        if (value === undefined) continue;
        const where = `${instance.constructor.name}.${name}`;
        if (!wrapper.isDependencyTreeStatic() || wrapper.isTransient)
          throw new Error(`${where} is called for jobs, and must belong to a singleton`);
        yield { value, method: method.bind(instance) as Method, where };
      }
    }
  }
}
