import { Injectable, SetMetadata } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { type JobDeadMethod, type JobHandlerMethod, type JobOptions, type JobQueue, jobQueue } from './job-queue.js';

const JOB_HANDLER = Symbol('JOB_HANDLER');
const JOB_DEAD = Symbol('JOB_DEAD');

interface Declaration {
  readonly queue: string;
  readonly options: JobOptions;
}

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
