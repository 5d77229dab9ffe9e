import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { Logger } from '@nestjs/common';
import { diag, type DiagLogFunction, DiagLogLevel, trace } from '@opentelemetry/api';
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { CallersSampler, samplerOf } from './callers-sampler.js';
import { httpSpans } from './http-spans.js';
import { telemetryStarted } from './telemetry-state.js';

/** A collector that does not answer must not hold up the shutdown, which ends within 10 s. */
const STOP_MS = 1000;
/** The same problem, such as a collector that is down, is logged again after this time. */
const REPEAT_MS = 60_000;

/** Values for variables that are not set. Metrics are served for Prometheus, and logs are written to stdout. */
const DEFAULTS = {
  OTEL_LOGS_EXPORTER: 'none',
  OTEL_METRICS_EXPORTER: 'none',
  OTEL_NODE_RESOURCE_DETECTORS: 'env,host,serviceinstance',
};

const INSTRUMENTATIONS = {
  fastify: httpSpans,
  pg: () => new PgInstrumentation({ requireParentSpan: true, ignoreConnectSpans: true }),
};

/** Starts the SDK as the environment says. If that is not possible, the process goes on without traces, and the log says why. */
export function startTelemetry(env: NodeJS.ProcessEnv, argv: readonly string[]): void {
  const logger = new Logger('Tracing');
  const problem = throttled((text) => logger.warn(text));
  try {
    for (const [name, value] of Object.entries(DEFAULTS)) if (!env[name]?.trim()) env[name] = value;
    checkEndpoints(env);
    const report: DiagLogFunction = (text, ...details) => problem([text, ...details.map(textOf)].join(' '));
    diag.setLogger(
      { error: report, warn: report, info: ignore, debug: ignore, verbose: ignore },
      { logLevel: DiagLogLevel.WARN },
    );
    const serviceName = nameOf(env, argv);
    const sdk = new NodeSDK({
      sampler: new CallersSampler(samplerOf(env, problem)),
      instrumentations: instrumentationsOf(env, problem),
      ...(serviceName !== undefined && { serviceName }),
    });
    sdk.start();
    const stop = async () => {
      const stopped = sdk.shutdown().catch(() => undefined);
      await Promise.race([stopped, delay(STOP_MS, undefined, { ref: false })]);
    };
    telemetryStarted({ tracer: trace.getTracer('@twinbox/api-kit'), stop });
  } catch (error) {
    problem(`Traces are off: ${(error as Error).message}`);
  }
}

/** @throws Error for an address that traces cannot be sent to */
function checkEndpoints(env: NodeJS.ProcessEnv): void {
  for (const name of ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) {
    const value = env[name]?.trim();
    if (value && !/^https?:$/.test(URL.parse(value)?.protocol ?? ''))
      throw new Error(`${name} must be an http or https URL, such as http://localhost:4318.`);
  }
}

function instrumentationsOf(env: NodeJS.ProcessEnv, problem: (text: string) => void) {
  const names = (env['OTEL_NODE_ENABLED_INSTRUMENTATIONS'] ?? '').split(',').map((name) => name.trim());
  const given = names.filter((name) => name !== '');
  return (given.length > 0 ? given : ['fastify']).flatMap((name) => {
    if (Object.hasOwn(INSTRUMENTATIONS, name)) return [INSTRUMENTATIONS[name as keyof typeof INSTRUMENTATIONS]()];
    const known = Object.keys(INSTRUMENTATIONS).join(' and ');
    problem(`OTEL_NODE_ENABLED_INSTRUMENTATIONS has ${name}, but there are only ${known}.`);
    return [];
  });
}

/**
 * By default the folder of the service under `apps`, or the argument of `npm run service` and `npm run relay`. Undefined if the environment
 * has a name.
 */
function nameOf(env: NodeJS.ProcessEnv, [, script = '', argument]: readonly string[]): string | undefined {
  if (env['OTEL_SERVICE_NAME']?.trim() || /(^|,)\s*service\.name=/.test(env['OTEL_RESOURCE_ATTRIBUTES'] ?? ''))
    return undefined;
  return /[\\/]apps[\\/]([\w-]+)[\\/]/.exec(script)?.[1] ?? argument;
}

/** Passes each text on, but not again for a while. */
function throttled(report: (text: string) => void): (text: string) => void {
  const reported = new Map<string, number>();
  return (text) => {
    const now = performance.now();
    const last = reported.get(text);
    if (last !== undefined && now - last < REPEAT_MS) return;
    if (reported.size > 100) reported.clear();
    reported.set(text, now);
    report(text);
  };
}

/** Never throws, whatever the SDK reports. */
function textOf(detail: unknown): string {
  return detail instanceof Error ? detail.message : typeof detail === 'string' ? detail : inspect(detail);
}

function ignore(): void {}
