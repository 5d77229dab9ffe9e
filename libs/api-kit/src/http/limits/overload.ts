import underPressure from '@fastify/under-pressure';
import type { FastifyInstance } from 'fastify';
import type { LimitsConfig } from '../../app/limits-config.js';
import { overloaded } from '../common-problems.js';
import { isOperational } from '../operational-path.js';
import { problemOf } from '../problem.js';

/** How often the delay of the event loop is evaluated. A shorter time would make a single long pause look like overload. */
const SAMPLE_MS = 1000;

/** How long after the start the delay is ignored, because loading the program has kept the event loop busy. */
const START_MS = 2 * SAMPLE_MS;

/**
 * Answers with a 503 while the event loop is too slow, before a request costs anything, so that those already accepted are finished. Health
 * and metrics are answered, because they are what shows the overload. Returns a function for requests that do not arrive by HTTP, which
 * throws the 503 as a ProblemException.
 */
export async function refuseWhenOverloaded(
  fastify: FastifyInstance,
  { MAX_EVENT_LOOP_DELAY: maxEventLoopDelay }: LimitsConfig,
): Promise<() => void> {
  if (maxEventLoopDelay === false) return () => undefined;
  let startedAt = Number.POSITIVE_INFINITY;
  fastify.addHook('onListen', (done) => {
    startedAt = performance.now() + START_MS;
    done();
  });
  const refuse = (): void => {
    if (performance.now() > startedAt) throw problemOf({ code: 'overloaded' }, { overloaded });
  };
  await fastify.register(underPressure, {
    maxEventLoopDelay,
    sampleInterval: SAMPLE_MS,
    // The plugin expects a rejection, not an error that is thrown.
    pressureHandler: async ({ url }) => {
      if (!isOperational(url)) refuse();
      await Promise.resolve();
    },
  });
  return () => {
    if (fastify.isUnderPressure()) refuse();
  };
}
