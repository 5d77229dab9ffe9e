import { lookup } from 'node:dns/promises';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type DynamicModule, Logger as NestLogger, Module, type Type } from '@nestjs/common';
import { NestFactory, Reflector } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Logger } from 'nestjs-pino';
import { CallerGuard } from '../http/caller.js';
import { ConfigError, loadConfig } from './load-config.js';
import { connectionOptions, guardConnections } from '../http/connections.js';
import { closeEventStreams } from '../http/event-stream.js';
import { hostCheck } from '../http/host-check.js';
import { logRequest, requestIdOf } from './logging.js';
import { ServiceConfig } from './service-config.js';
import { type OpenApiInfo, setupOpenApi } from '../http/openapi/document.js';
import { commonProblems, ProblemException, ProblemFilter } from '../http/problem.js';
import { followHttp, hideAsterisk, routeUnreadable } from '../http/protocol.js';
import { QueryGuard } from '../http/query-guard.js';
import { readJsonBodies } from '../http/raw-body.js';
import { RequestValidation } from '../http/validation.js';

/** In bytes. The largest valid order is far smaller. */
const BODY_LIMIT = 100 * 1024;

/** Less than the 10 s that are guaranteed and that Docker waits before it kills a process. */
const SHUTDOWN_TIMEOUT_MS = 9000;

/** The description of a service, which its `main.ts` passes to {@link runService}. */
export interface Service<C extends ServiceConfig> {
  /** The name of the service in the log. */
  readonly name: string;
  readonly configClass: new () => C;
  readonly module: (config: C) => Type | DynamicModule;
  /** Connects microservices (the consumers). They start once the service listens. */
  readonly configure?: (app: NestFastifyApplication, config: C) => void | Promise<void>;
  /** Omitted by a process without an API, which has no documentation to serve. */
  readonly openApi?: OpenApiInfo;
}

/**
 * Creates the application for `main.ts` and tests, without listening yet. Validation, guards, problem documents and the log apply to every
 * route, and `config` can be injected by its class.
 */
export async function createApp(
  module: Type | DynamicModule,
  config: ServiceConfig,
  openApi?: OpenApiInfo,
): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_LIMIT,
    // Validation checks the length of an id, like every other input. Node limits the whole head of a request.
    routerOptions: { maxParamLength: 16 * 1024 },
    // Anyone can send X-Forwarded-For.
    trustProxy: false,
    genReqId: (request: IncomingMessage) => requestIdOf(request),
    // Fastify's response is not a problem document. followHttp() sends one instead.
    return503OnClosing: false,
    frameworkErrors: ({ message }: FastifyError, { raw: request }: FastifyRequest, { raw: response }: FastifyReply) =>
      routeUnreadable(fastify, request, response, message),
    ...connectionOptions(config),
  });
  const fastify: FastifyInstance = adapter.getInstance();
  // This hook runs before the CORS hook, so that a preflight has an id and a log line too.
  adapter.setOnRequestHook((request, reply, done) => {
    // Set on the raw response, so that server-sent events and hijacked replies have it too.
    reply.raw.setHeader('x-request-id', request.id);
    hideAsterisk(request.raw);
    logRequest(request.raw, reply.raw, request.id, done);
  });
  fastify.addHook('preClose', (done) => {
    closeEventStreams(fastify.server);
    done();
  });
  guardConnections(fastify, config);
  followHttp(fastify, config.AUTH_MODE === 'dev' ? foreignHostProblem(config.ALLOWED_HOSTS) : undefined);
  readJsonBodies(fastify);

  const app = await NestFactory.create<NestFastifyApplication>(withConfig(module, config), adapter, {
    abortOnError: false,
    bufferLogs: true,
    // Nest's parsers would also accept forms. Fastify's own JSON parser rejects __proto__ just as well.
    bodyParser: false,
  });
  app.useLogger(app.get(Logger));
  app.useGlobalPipes(new RequestValidation());
  app.useGlobalGuards(new CallerGuard(app.get(Reflector)), new QueryGuard(app.get(Reflector)));
  app.useGlobalFilters(new ProblemFilter(adapter));
  if (config.CORS_ORIGINS.length > 0) {
    app.enableCors({
      origin: config.CORS_ORIGINS,
      // The plugin's default list ends with POST. All headers that a page asks for are allowed.
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      exposedHeaders: ['Location', 'ETag', 'Idempotent-Replayed', 'X-Request-Id', 'Retry-After', 'Allow'],
      maxAge: 600,
      // followHttp() answers OPTIONS, because its response has an Allow header whether or not it is a preflight.
      preflightContinue: true,
      strictPreflight: false,
    });
  }
  if (openApi) setupOpenApi(app, openApi);
  return app;
}

/**
 * Runs a service; the whole body of a `main.ts`. An invalid variable or a port in use ends the process with exit code 1 and lines that say
 * what to do. A database or Kafka that is not available yet does not. SIGTERM and SIGINT end the process with exit code 0 once the work in
 * flight is done, or with 1 after 9 s.
 */
export async function runService<C extends ServiceConfig>(service: Service<C>): Promise<void> {
  const config = configOrExit(service);
  // An uncaught error may have left something half done. A new process starts clean, and messaging resumes from what is stored.
  const exitOnError = (error: unknown): never => {
    new NestLogger(service.name).fatal({ err: error }, 'Uncaught error, exiting.');
    return process.exit(1);
  };
  process.on('unhandledRejection', exitOnError);
  process.on('uncaughtException', exitOnError);

  let app: NestFastifyApplication;
  try {
    app = await createApp(service.module(config), config, service.openApi);
    closeOnSignal(app, service.name);
    await service.configure?.(app, config);
    // The port comes first, because an accidental second instance must not take over partitions from the first one before it fails.
    await app.listen(config.PORT, await addressOf(config.HOST));
    await app.startAllMicroservices();
  } catch (error) {
    const hint = listenHint(error, config);
    if (!hint) return exitOnError(error);
    process.stderr.write(`${service.name} cannot start: ${hint}\n`);
    return process.exit(1);
  }
  const logger = new NestLogger(service.name);
  const { url, localUrl } = urlsOf(app);
  if (service.openApi && config.AUTH_MODE === 'dev')
    logger.warn(
      `AUTH_MODE=dev: anyone who can reach ${url} can act as any user with any role. Use it for development only.`,
    );
  logger.log(`Listening on ${url}${service.openApi ? `, documentation at ${localUrl}/docs` : ''}`);
}

/** Resolves `localhost`, because Fastify would otherwise listen on its second address with another server, which has no limits. */
async function addressOf(host: string): Promise<string> {
  return host === 'localhost' ? (await lookup(host, { order: 'ipv4first' })).address : host;
}

/** Returns the address that the service listens on and one to open on this machine. They differ if it listens on every address. */
function urlsOf(app: NestFastifyApplication): { url: string; localUrl: string } {
  const { address, family, port } = app.getHttpServer().address() as AddressInfo;
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  return { url, localUrl: ['0.0.0.0', '::'].includes(address) ? `http://localhost:${port}` : url };
}

/** Rejects requests for other hosts on every path, including health and metrics, so scrapers must use a name in ALLOWED_HOSTS. */
function foreignHostProblem(
  allowedHosts: readonly string[],
): (request: IncomingMessage) => ProblemException | undefined {
  const isForUs = hostCheck(allowedHosts);
  const detail =
    'With AUTH_MODE=dev the service answers only requests for localhost, a loopback address or a host in ALLOWED_HOSTS.';
  const problem = { code: 'misdirected-request', ...commonProblems['misdirected-request'], detail };
  return (request) => (isForUs(request) ? undefined : new ProblemException(problem));
}

@Module({})
class ServiceModule {}

// Global, so that every module can have the config injected.
function withConfig(module: Type | DynamicModule, config: ServiceConfig): DynamicModule {
  const tokens = new Set<unknown>([config.constructor, ServiceConfig]);
  const providers = [...tokens].map((provide) => ({ provide: provide as Type, useValue: config }));
  return { module: ServiceModule, global: true, imports: [module], providers, exports: providers };
}

function configOrExit<C extends ServiceConfig>({ name, configClass }: Service<C>): C {
  try {
    return loadConfig(configClass);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${name} cannot start:\n${error.problems.map((line) => `  ${line}\n`).join('')}`);
    return process.exit(1);
  }
}

/** Returns what to do about an address that the service cannot listen on; undefined for any other error. */
function listenHint(error: unknown, { HOST, PORT }: ServiceConfig): string | undefined {
  const { syscall, code } = error as Partial<NodeJS.ErrnoException>;
  if (code === 'EADDRINUSE') {
    return `port ${PORT} on ${HOST} is in use. Stop the process that is using it, or set PORT to another port (0 picks a free one).`;
  }
  if (code === 'EACCES') return `port ${PORT} requires elevated privileges. Set PORT to a port above 1023.`;
  if (code === 'EADDRNOTAVAIL' || syscall === 'getaddrinfo') return `HOST="${HOST}" is not an address of this machine.`;
  return undefined;
}

function closeOnSignal(app: NestFastifyApplication, name: string): void {
  let closing = false;
  const close = (signal: NodeJS.Signals): void => {
    // A terminal sends Ctrl-C to the whole process group, and the parent may forward it too. So a second signal does not mean "hurry".
    if (closing) return;
    closing = true;
    const logger = new NestLogger(name);
    logger.log(`Received ${signal}, finishing the work in flight.`);
    setTimeout(() => {
      logger.error(`Shutdown did not finish within ${SHUTDOWN_TIMEOUT_MS / 1000} s, exiting.`);
      process.exit(1);
    }, SHUTDOWN_TIMEOUT_MS).unref();
    app.close().then(
      () => {
        logger.log('Stopped.');
        process.exit(0);
      },
      (error: unknown) => {
        logger.error({ err: error }, 'Shutdown failed.');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', close);
  process.on('SIGINT', close);
}
