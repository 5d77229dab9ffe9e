import { lookup } from 'node:dns/promises';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type DynamicModule, Logger as NestLogger, Module, type Type } from '@nestjs/common';
import { NestFactory, Reflector } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Logger } from 'nestjs-pino';
import { CallerGuard } from './caller.js';
import { ConfigError, loadConfig, ServiceConfig } from './config.js';
import { connectionOptions, guardConnections } from './connections.js';
import { closeEventStreams } from './event-stream.js';
import { hostCheck } from './host-check.js';
import { logRequest, requestIdOf } from './logging.js';
import { type OpenApiInfo, setupOpenApi } from './openapi.js';
import { commonProblems, ProblemException, ProblemFilter } from './problem.js';
import { followHttp, hideAsterisk, routeUnreadable } from './protocol.js';
import { QueryGuard } from './query-guard.js';
import { readJsonBodies } from './raw-body.js';
import { RequestValidation } from './validation.js';

/** Bytes. The largest order there may be is far smaller. */
const BODY_LIMIT = 100 * 1024;

/** Within the 10 s that are promised, and that Docker waits before it kills. */
const SHUTDOWN_BOUND_MS = 9000;

/** A service as its `main.ts` tells it. */
export interface Service<C extends ServiceConfig> {
  /** As it is called in the log. */
  readonly name: string;
  readonly configClass: new () => C;
  readonly module: (config: C) => Type | DynamicModule;
  /** Connects microservices (the consumers). They are started once the service listens. */
  readonly configure?: (app: NestFastifyApplication, config: C) => void | Promise<void>;
  /** None for a process without an API: it has no documentation to show. */
  readonly openApi?: OpenApiInfo;
}

/**
 * The application as `main.ts` and tests run it, not yet listening: Fastify, the validation, guard and problem documents of
 * every route, and `config` injectable by its class.
 */
export async function createApp(
  module: Type | DynamicModule,
  config: ServiceConfig,
  openApi?: OpenApiInfo,
): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_LIMIT,
    // An id of any length is judged by validation, like every other input. Node bounds the whole head of a request.
    routerOptions: { maxParamLength: 16 * 1024 },
    // Whoever sends X-Forwarded-For may be anyone.
    trustProxy: false,
    genReqId: (request: IncomingMessage) => requestIdOf(request),
    // Its answer is not a problem document: followHttp() gives ours.
    return503OnClosing: false,
    frameworkErrors: ({ message }: FastifyError, { raw: request }: FastifyRequest, { raw: response }: FastifyReply) =>
      routeUnreadable(fastify, request, response, message),
    ...connectionOptions(config),
  });
  const fastify: FastifyInstance = adapter.getInstance();
  // This hook runs before that of CORS, so that a preflight has an id and a line in the log, too.
  adapter.setOnRequestHook((request, reply, done) => {
    // On the raw response, so that server-sent events and hijacked replies carry it too.
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
    // Nest's parsers would add forms; Fastify's own JSON parser refuses __proto__ just as well.
    bodyParser: false,
  });
  app.useLogger(app.get(Logger));
  app.useGlobalPipes(new RequestValidation());
  app.useGlobalGuards(new CallerGuard(app.get(Reflector)), new QueryGuard(app.get(Reflector)));
  app.useGlobalFilters(new ProblemFilter(adapter));
  if (config.CORS_ORIGINS.length > 0) {
    app.enableCors({
      origin: config.CORS_ORIGINS,
      // The plugin's own list ends with POST. Whatever headers a page asks for are allowed.
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      exposedHeaders: ['Location', 'ETag', 'Idempotent-Replayed', 'X-Request-Id', 'Retry-After', 'Allow'],
      maxAge: 600,
      // followHttp() answers OPTIONS, which has an Allow header for a preflight and for everybody else.
      preflightContinue: true,
      strictPreflight: false,
    });
  }
  if (openApi) setupOpenApi(app, openApi);
  return app;
}

/**
 * All of a `main.ts`. A wrong variable or a port in use ends the process with exit code 1 and lines that say what to do; a
 * database or Kafka that is not there yet does not. SIGTERM and SIGINT end it with 0 once the work in flight is done, or
 * with 1 after 9 s.
 */
export async function runService<C extends ServiceConfig>(service: Service<C>): Promise<void> {
  const config = configOrExit(service);
  // Whatever nobody caught has left something half done: a new process starts clean, and messaging takes it from there.
  const die = (error: unknown): never => {
    new NestLogger(service.name).fatal({ err: error }, 'Nobody caught this: the process ends.');
    return process.exit(1);
  };
  process.on('unhandledRejection', die);
  process.on('uncaughtException', die);

  let app: NestFastifyApplication;
  try {
    app = await createApp(service.module(config), config, service.openApi);
    closeOnSignal(app, service.name);
    await service.configure?.(app, config);
    // First the port: a second instance by mistake must not take over the first one's partitions before it fails.
    await app.listen(config.PORT, await addressOf(config.HOST));
    await app.startAllMicroservices();
  } catch (error) {
    const hint = listenHint(error, config);
    if (!hint) return die(error);
    process.stderr.write(`${service.name} cannot start: ${hint}\n`);
    return process.exit(1);
  }
  const logger = new NestLogger(service.name);
  const { url, localUrl } = urlsOf(app);
  if (service.openApi && config.AUTH_MODE === 'dev')
    logger.warn(
      `AUTH_MODE=dev: everyone who reaches ${url} can act as any user with any role. It is for development only.`,
    );
  logger.log(`Listens on ${url}${service.openApi ? `, documentation at ${localUrl}/docs` : ''}`);
}

/** Given a name, Fastify would listen for `localhost` on a second server, which has no bounds. */
async function addressOf(host: string): Promise<string> {
  return host === 'localhost' ? (await lookup(host, { order: 'ipv4first' })).address : host;
}

/** The address that is listened on, and one to open on this machine: they differ when it listens on every address. */
function urlsOf(app: NestFastifyApplication): { url: string; localUrl: string } {
  const { address, family, port } = app.getHttpServer().address() as AddressInfo;
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  return { url, localUrl: ['0.0.0.0', '::'].includes(address) ? `http://localhost:${port}` : url };
}

/** Applies to every path, health and metrics included, so scrapers must use a name in ALLOWED_HOSTS. */
function foreignHostProblem(
  allowedHosts: readonly string[],
): (request: IncomingMessage) => ProblemException | undefined {
  const isForUs = hostCheck(allowedHosts);
  const detail =
    'With AUTH_MODE=dev the service answers only for localhost, a loopback address and the hosts in ALLOWED_HOSTS.';
  const refusal = { code: 'misdirected-request', ...commonProblems['misdirected-request'], detail };
  return (request) => (isForUs(request) ? undefined : new ProblemException(refusal));
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

// What to do about an address that cannot be listened on; undefined for every other error.
function listenHint(error: unknown, { HOST, PORT }: ServiceConfig): string | undefined {
  const { syscall, code } = error as Partial<NodeJS.ErrnoException>;
  if (code === 'EADDRINUSE') {
    return `port ${PORT} on ${HOST} is in use. Stop what listens there, or set PORT to another (0: any free one).`;
  }
  if (code === 'EACCES') return `port ${PORT} needs privileges. Set PORT to one above 1023.`;
  if (code === 'EADDRNOTAVAIL' || syscall === 'getaddrinfo') return `HOST="${HOST}" is no address of this machine.`;
  return undefined;
}

function closeOnSignal(app: NestFastifyApplication, name: string): void {
  let closing = false;
  const close = (signal: NodeJS.Signals): void => {
    // A terminal sends Ctrl-C to the whole process group, and whoever started us may pass it on: the second is no haste.
    if (closing) return;
    closing = true;
    const logger = new NestLogger(name);
    logger.log(`${signal}: finishing the work in flight.`);
    setTimeout(() => {
      logger.error(`Not done after ${SHUTDOWN_BOUND_MS / 1000} s: the process ends as it is.`);
      process.exit(1);
    }, SHUTDOWN_BOUND_MS).unref();
    app.close().then(
      () => {
        logger.log('Stopped.');
        process.exit(0);
      },
      (error: unknown) => {
        logger.error({ err: error }, 'Could not stop in order.');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', close);
  process.on('SIGINT', close);
}
