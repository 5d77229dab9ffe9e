import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type DynamicModule, Logger } from '@nestjs/common';
import { trace, TraceFlags } from '@opentelemetry/api';
import { LoggerModule, type Params, PinoLogger } from 'nestjs-pino';
import pino, { type DestinationStream, type LoggerOptions } from 'pino';
import { PinoPretty } from 'pino-pretty';
import type { EdgeRequest } from '../http/edge-request.js';
import { clientAddress } from '../http/limits/client-address.js';
import { isMonitoring } from '../http/operational-path.js';
import { reportedStatus } from '../http/reported-status.js';
import { runningTelemetry } from '../telemetry/telemetry-state.js';
import { loggableUrl } from './loggable-url.js';
import type { ServiceConfig } from './service-config.js';

/** Fields that are added to every log line of a context. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

// nestjs-pino keeps one root logger per process, so the first loggerModule() decides how the whole process logs.
let contextLogger: PinoLogger | undefined;

/**
 * Configures nestjs-pino to write JSON lines to stdout, or readable lines to a terminal, with one line per finished request. Bodies,
 * headers and the parameters of failed queries are never logged.
 *
 * Log through Nest's own `Logger`. `log('text')`, `log('text', { orderId })`, `error({ err }, 'text')` and `error('text', err)` all keep
 * their fields.
 */
export function loggerModule(
  config: Pick<ServiceConfig, 'LOG_LEVEL' | 'LOG_FORMAT'>,
  name: string,
  destination: DestinationStream = destinationFor(config.LOG_FORMAT),
): DynamicModule {
  // Without routes there is no nestjs-pino middleware. logRequest() does its work.
  const params: Params = { pinoHttp: [options(config, name), destination], forRoutes: [] };
  contextLogger = new PinoLogger(params);
  return LoggerModule.forRoot(params);
}

/** Adds fields to every later log line of the current request or message, including its final line. Does nothing outside of both. */
export function logContext(fields: LogFields): void {
  // Outside of any context `logger` is the root logger, and nestjs-pino refuses to bind fields to it.
  if (contextLogger && contextLogger.logger !== PinoLogger.root) contextLogger.assign(fields);
}

/** Runs `fn` and adds `fields` to every line that is logged in it, at any depth and after any await. */
export function withLogContext<T>(fields: LogFields, fn: () => T): T {
  return contextLogger && PinoLogger.root
    ? contextLogger.runInContext(fn, { bindings: { ...fields }, inherit: true })
    : fn();
}

/** Returns the client's `X-Request-Id` if it is harmless, otherwise a new id. */
export function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && /^[\w.-]{1,128}$/.test(given) ? given : randomUUID();
}

/** What identifies a request in the log. */
export interface LoggedRequest {
  readonly requestId: string;
  /** The address of the client. Only the last line of the request has it. */
  readonly address: string;
}

/**
 * Runs `next` so that every log line of the request has its id, and logs one line when the response is finished or aborted.
 * It replaces the middleware of pino-http, which costs a pass through Express-style routing and misses requests that the router rejects.
 */
export function logRequest(
  request: IncomingMessage,
  response: ServerResponse,
  { requestId, address }: LoggedRequest,
  next: () => void,
): void {
  if (!contextLogger || !PinoLogger.root) return next();
  const logger = contextLogger;
  logger.runInContext(
    () => {
      const start = performance.now();
      // 'close' is emitted outside of the request's context. The snapshot restores it, with the fields that were added in the meantime.
      const inContext = AsyncLocalStorage.snapshot();
      response.once('close', () =>
        inContext(() => logFinished(logger, request, response, { address, elapsedMs: performance.now() - start })),
      );
      next();
    },
    { bindings: { requestId } },
  );
}

/** How a gRPC call ended. */
export interface CallOutcome {
  /** The name of its status. */
  readonly status: string;
  readonly elapsedMs: number;
  /** Whether the service is to blame. */
  readonly isFault: boolean;
}

/**
 * Runs `next` so that every log line of a gRPC call has the id of its request. `next` gets a function that logs one line when the call has
 * been answered or cancelled.
 */
export function logCall(request: EdgeRequest, next: (finished: (outcome: CallOutcome) => void) => void): void {
  if (!contextLogger || !PinoLogger.root) return next(() => undefined);
  const logger = contextLogger;
  logger.runInContext(
    () => {
      const inContext = AsyncLocalStorage.snapshot();
      const { method, url } = request;
      next(({ status, elapsedMs, isFault }) =>
        inContext(() => {
          const durationMs = Math.round(elapsedMs * 10) / 10;
          const level = isFault ? 'warn' : 'info';
          logger[level](
            { method, url, status, address: clientAddress(request), durationMs },
            `${method} ${url} ${status}`,
          );
        }),
      );
    },
    { bindings: { requestId: request.id } },
  );
}

function logFinished(
  logger: PinoLogger,
  request: IncomingMessage,
  response: ServerResponse,
  { address, elapsedMs }: { readonly address: string; readonly elapsedMs: number },
): void {
  const { method } = request;
  const url = loggableUrl(request.url ?? '');
  const status = reportedStatus(request, response.statusCode);
  const aborted = !response.writableFinished;
  // Probes and scrapes come every few seconds and report problems themselves.
  const level = isMonitoring(url) ? 'debug' : status >= 500 ? 'warn' : 'info';
  logger[level](
    { method, url, status, address, durationMs: Math.round(elapsedMs * 10) / 10, ...(aborted && { aborted }) },
    `${method} ${url} ${aborted ? 'aborted' : status}`,
  );
}

/**
 * Creates a logger for a process without Nest's container, with the same lines as those of the services. Nest's own `Logger`, with which the
 * kit reports, writes to it too.
 */
export function createLogger(
  config: Pick<ServiceConfig, 'LOG_LEVEL' | 'LOG_FORMAT'>,
  name: string,
  destination: DestinationStream = destinationFor(config.LOG_FORMAT),
): pino.Logger {
  const logger = pino(options(config, name), destination);
  const write =
    (level: 'info' | 'warn' | 'error' | 'fatal' | 'debug') =>
    (message: unknown, ...rest: unknown[]) => {
      // Nest adds the name of the logger as the last argument.
      const texts = rest.filter((one) => typeof one === 'string');
      const fields = typeof message === 'object' && message !== null ? message : undefined;
      logger[level]({ ...fields, context: texts.at(-1) }, fields ? (texts[0] ?? '') : String(message));
    };
  Logger.overrideLogger({
    log: write('info'),
    warn: write('warn'),
    error: write('error'),
    fatal: write('fatal'),
    debug: write('debug'),
  });
  return logger;
}

function options({ LOG_LEVEL }: Pick<ServiceConfig, 'LOG_LEVEL'>, name: string): LoggerOptions {
  return {
    level: LOG_LEVEL,
    base: { service: name, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    hooks: { logMethod },
    ...(runningTelemetry() && { mixin: traceFields }),
    redact: ['authorization', 'cookie', 'headers.authorization', 'headers.cookie', 'headers["set-cookie"]'],
    serializers: { err: errorFields },
  };
}

/**
 * The fields by which the lines of a recorded trace are found, as OpenTelemetry names them for logs in formats other than its own. Other
 * traces cannot be looked up, so their lines do without.
 */
function traceFields(): object {
  const of = trace.getActiveSpan()?.spanContext();
  const isRecorded = of !== undefined && (of.traceFlags & TraceFlags.SAMPLED) !== 0;
  return isRecorded ? { trace_id: of.traceId, span_id: of.spanId } : {};
}

// Nest logs at length how it wires modules and routes. Those lines go to the debug level.
const chatty = new Set(['InstanceLoader', 'RouterExplorer', 'RoutesResolver', 'NestFactory', 'NestApplication']);

// nestjs-pino treats arguments after a message as printf arguments, which loses them in Nest's idioms `log('text', { fields })` and
// `error('text', err)`. This hook turns them into fields.
const logMethod: NonNullable<NonNullable<LoggerOptions['hooks']>['logMethod']> = function (args, method, level) {
  const [first, ...rest] = args as unknown as [unknown, ...unknown[]];
  if (typeof first === 'object' && first !== null && !(first instanceof Error)) {
    const fields = first as Record<string, unknown>;
    for (const extra of rest.slice(1)) {
      if (extra instanceof Error) fields['err'] ??= extra;
      else if (typeof extra === 'object' && extra !== null) Object.assign(fields, { ...extra, ...fields });
    }
    if (level === 30 && chatty.has(String(fields['context']))) {
      this.debug(fields, String(rest[0]));
      return;
    }
  }
  method.apply(this, args);
};

/**
 * Selects the fields of an error that are logged. TypeORM's errors contain the parameters of the query, and PostgreSQL's `detail` quotes
 * the values of a row. Neither belongs in a log.
 */
function errorFields(error: Record<string, unknown>): Record<string, unknown> {
  const { type, message, stack, code, query, constraint, table } = error;
  return { type, message, stack, code, query, constraint, table };
}

function destinationFor(format: ServiceConfig['LOG_FORMAT']): DestinationStream {
  const pretty = format === 'pretty' || (format === 'auto' && process.stdout.isTTY);
  if (!pretty) return pino.destination({ fd: 1, sync: true });
  // In this thread and not in pino's worker, which would lose the last lines before an exit.
  return PinoPretty({
    sync: true,
    singleLine: true,
    translateTime: 'HH:MM:ss.l',
    ignore: 'pid,hostname,name,service,context,method,url,status,address',
    messageFormat: '{if context}[{context}] {end}{msg}',
  });
}
