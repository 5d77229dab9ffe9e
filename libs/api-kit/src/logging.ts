import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DynamicModule } from '@nestjs/common';
import { LoggerModule, type Params, PinoLogger } from 'nestjs-pino';
import pino, { type DestinationStream, type LoggerOptions } from 'pino';
import { PinoPretty } from 'pino-pretty';
import type { ServiceConfig } from './config.js';

/** Fields that are added to every line of a context. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

// nestjs-pino keeps one root logger a process: the first loggerModule() of a process decides how all of it logs.
let contextLogger: PinoLogger | undefined;

/**
 * nestjs-pino, set up: JSON lines on stdout, or readable ones in a terminal; one line per finished request. Bodies and
 * headers are never logged, nor the parameters of a query that failed.
 *
 * Lines go out through Nest's own `Logger`: `log('text')`, `log('text', { orderId })`, `error({ err }, 'text')` and
 * `error('text', err)` all keep their fields.
 */
export function loggerModule(
  config: Pick<ServiceConfig, 'LOG_LEVEL' | 'LOG_FORMAT'>,
  name: string,
  destination: DestinationStream = destinationFor(config.LOG_FORMAT),
): DynamicModule {
  // No routes, so no middleware of nestjs-pino: logRequest() does its work.
  const params: Params = { pinoHttp: [options(config, name), destination], forRoutes: [] };
  contextLogger = new PinoLogger(params);
  return LoggerModule.forRoot(params);
}

/**
 * Adds fields to every later line of the current request or message, its closing line included. Outside of both it does
 * nothing.
 */
export function logContext(fields: LogFields): void {
  // Outside of any context `logger` is the root, which nestjs-pino refuses to bind fields to.
  if (contextLogger && contextLogger.logger !== PinoLogger.root) contextLogger.assign(fields);
}

/** Runs `fn` so that every line logged in it, however deep and after whatever await, carries `fields`. */
export function withLogContext<T>(fields: LogFields, fn: () => T): T {
  return contextLogger ? contextLogger.runInContext(fn, { bindings: { ...fields }, inherit: true }) : fn();
}

/** The client's `X-Request-Id` if it is harmless, else a new one. */
export function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && /^[\w.-]{1,128}$/.test(given) ? given : randomUUID();
}

/**
 * Runs `next` so that every line of the request carries its id, and logs one line when the response is finished or cut off.
 * It stands in for pino-http, whose middleware costs a pass through Express-style routing and misses what the router refuses.
 */
export function logRequest(
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
  next: () => void,
): void {
  if (!contextLogger) return next();
  const logger = contextLogger;
  logger.runInContext(
    () => {
      const start = performance.now();
      // 'close' is emitted outside of the request's context; this brings back what was added to it meanwhile.
      const inContext = AsyncLocalStorage.snapshot();
      response.once('close', () => inContext(() => logFinished(logger, request, response, performance.now() - start)));
      next();
    },
    { bindings: { requestId } },
  );
}

function logFinished(logger: PinoLogger, request: IncomingMessage, response: ServerResponse, elapsedMs: number): void {
  const { method } = request;
  const url = (request.url ?? '').slice(0, 500);
  const status = response.statusCode;
  const aborted = !response.writableFinished;
  // Probes and scrapes come every few seconds, and say themselves what is wrong.
  const level = /^\/(health|metrics)\b/.test(url) ? 'debug' : status >= 500 ? 'warn' : 'info';
  logger[level](
    { method, url, status, durationMs: Math.round(elapsedMs * 10) / 10, ...(aborted && { aborted }) },
    `${method} ${url} ${aborted ? 'aborted' : status}`,
  );
}

function options({ LOG_LEVEL }: Pick<ServiceConfig, 'LOG_LEVEL'>, name: string): LoggerOptions {
  return {
    level: LOG_LEVEL,
    base: { service: name, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    hooks: { logMethod },
    redact: ['authorization', 'cookie', 'headers.authorization', 'headers.cookie', 'headers["set-cookie"]'],
    serializers: { err: errorFields },
  };
}

// Nest tells at length how it wires modules and routes: worth a debug line each.
const chatty = new Set(['InstanceLoader', 'RouterExplorer', 'RoutesResolver', 'NestFactory', 'NestApplication']);

// nestjs-pino takes what follows a message for printf arguments, and so drops Nest's own idioms `log('text', { fields })`
// and `error('text', err)`. Here they become fields.
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
 * What is logged of an error. TypeORM's errors carry the parameters of the query, and PostgreSQL's `detail` quotes the
 * values of a row: neither belongs in a log.
 */
function errorFields(error: Record<string, unknown>): Record<string, unknown> {
  const { type, message, stack, code, query, constraint, table } = error;
  return { type, message, stack, code, query, constraint, table };
}

function destinationFor(format: ServiceConfig['LOG_FORMAT']): DestinationStream {
  const pretty = format === 'pretty' || (format === 'auto' && process.stdout.isTTY);
  if (!pretty) return pino.destination({ fd: 1, sync: true });
  // In this thread rather than in pino's worker: the last lines before an exit would be lost.
  return PinoPretty({
    sync: true,
    singleLine: true,
    translateTime: 'HH:MM:ss.l',
    ignore: 'pid,hostname,name,service,context,method,url,status',
    messageFormat: '{if context}[{context}] {end}{msg}',
  });
}
