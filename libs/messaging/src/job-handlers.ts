import { Injectable, SetMetadata } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';

const JOB_HANDLER = Symbol('JOB_HANDLER');

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

/** One queue as its handler was declared; what the options leave out has its default. */
export interface JobQueue {
  readonly name: string;
  readonly concurrency: number;
  readonly maxAttempts: number;
  readonly backOff: { readonly firstMs: number; readonly maxMs: number };
  readonly timeoutMs: number;
  readonly handle: JobHandlerMethod<unknown>;
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

/** @throws when an option makes no sense: better at the start than with the first failing job */
export function jobQueue(name: string, options: JobOptions, handle: JobHandlerMethod<unknown>): JobQueue {
  const queue = {
    name,
    concurrency: options.concurrency ?? 4,
    maxAttempts: options.maxAttempts ?? 10,
    backOff: options.backOff ?? { firstMs: 1000, maxMs: 300_000 },
    timeoutMs: options.timeoutMs ?? 60_000,
    handle,
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

/** Finds the methods that `JobHandler` marks, once everything is instantiated. */
@Injectable()
export class JobHandlers {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly reflector: Reflector,
  ) {}

  /** @throws when a queue has two handlers, or one that is made anew for each request */
  find(): JobQueue[] {
    const queues = new Map<string, JobQueue>();
    const seen = new Set<object>();
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const instance: unknown = wrapper.instance;
      // An alias is the same instance under another token.
      if (typeof instance !== 'object' || instance === null || seen.has(instance)) continue;
      seen.add(instance);
      for (const { name, handle, queue, options } of this.declaredBy(instance)) {
        const where = `${instance.constructor.name}.${name}`;
        if (!wrapper.isDependencyTreeStatic() || wrapper.isTransient)
          throw new Error(`${where} handles the jobs of ${queue}, and must belong to a singleton`);
        if (queues.has(queue)) throw new Error(`${where} is a second handler for the jobs of ${queue}`);
        queues.set(queue, jobQueue(queue, options, handle));
      }
    }
    return [...queues.values()];
  }

  private *declaredBy(instance: object): Generator<Declaration & { name: string; handle: JobHandlerMethod<unknown> }> {
    const prototype = Object.getPrototypeOf(instance) as object | null;
    for (const name of this.scanner.getAllMethodNames(prototype)) {
      const method = (instance as Record<string, unknown>)[name];
      if (typeof method !== 'function') continue;
      const declaration = this.reflector.get<Declaration | undefined, symbol>(JOB_HANDLER, method);
      if (!declaration) continue;
      yield { ...declaration, name, handle: (method as JobHandlerMethod<unknown>).bind(instance) };
    }
  }
}
