import type { IncomingMessage } from 'node:http';
import { type DynamicModule, Module, type Provider, type Type } from '@nestjs/common';
import { NestFactory, Reflector } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Logger } from 'nestjs-pino';
import { GrpcEdge } from '../grpc/grpc-edge.js';
import { RpcCalls } from '../grpc/rpc-calls.js';
import { CallerGuard } from '../http/caller-guard.js';
import { identifyByHeaders } from '../http/caller-headers.js';
import { connectionOptions, guardConnections } from '../http/connections.js';
import { closeEventStreams, closeWithdrawnStreams } from '../http/event-stream.js';
import { MAX_HEAD_SIZE } from '../http/framing.js';
import { foreignHostProblem } from '../http/host-check.js';
import { clientAddress, trustedProxies } from '../http/limits/client-address.js';
import { refuseWhenOverloaded } from '../http/limits/overload.js';
import { limitRates, type RateLimits } from '../http/limits/rate-limits.js';
import { type OpenApiInfo, setupOpenApi } from '../http/openapi/document.js';
import { addManagementServer, type ManagementAccess, managementAccess, portRule } from '../http/management.js';
import { keepPrivate } from '../http/private-responses.js';
import { ProblemFilter } from '../http/problem-filter.js';
import { followHttp, hideAsterisk, routeUnreadable } from '../http/protocol.js';
import { QueryGuard } from '../http/query-guard.js';
import { readJsonBodies } from '../http/raw-body.js';
import { RequestValidation } from '../http/validation.js';
import { addSecurityHeaders } from '../http/security-headers.js';
import { TicketGate } from '../http/ticket-gate.js';
import { identifyByToken, tokenKeysOf } from '../identity/identify-by-token.js';
import { type Identify, identifyCallers } from '../identity/identify-callers.js';
import { TokenKeys } from '../identity/token-keys.js';
import { WITHOUT_TOKEN } from '../identity/token-problems.js';
import { logRequest, requestIdOf } from './logging.js';
import { SecurityEvents } from './security-events.js';
import { ServiceConfig } from './service-config.js';

/** In bytes. The largest valid order is far smaller. */
const BODY_LIMIT = 100 * 1024;

/**
 * Creates the application for `main.ts` and tests, without listening yet. Validation, guards, problem documents and the log apply to every
 * route, and `config` can be injected by its class.
 */
export async function createApp(
  module: Type | DynamicModule,
  config: ServiceConfig,
  openApi?: OpenApiInfo,
): Promise<NestFastifyApplication> {
  const access = managementAccess(config, { hasApi: openApi !== undefined });
  // A process without an API, such as a separate relay, has no callers to identify.
  const keys = config.AUTH_MODE === 'jwt' && openApi ? tokenKeysOf(config) : undefined;
  const events = new SecurityEvents();
  const { adapter, rates, edge } = await adapterFor(config, { keys, access, events });
  const app = await NestFactory.create<NestFastifyApplication>(
    withConfig(module, config, { keys, events, rates, access, edge }),
    adapter,
    {
      abortOnError: false,
      bufferLogs: true,
      // Nest's parsers would also accept forms. Fastify's own JSON parser rejects __proto__ just as well.
      bodyParser: false,
    },
  );
  app.useLogger(app.get(Logger));
  app.useGlobalPipes(new RequestValidation());
  app.useGlobalGuards(app.get(CallerGuard), new QueryGuard(app.get(Reflector)));
  app.useGlobalFilters(new ProblemFilter(adapter));
  if (config.CORS_ORIGINS.length > 0) allowOrigins(app, config.CORS_ORIGINS);
  if (openApi && config.DOCS === 'on') setupOpenApi(app, openApi);
  return app;
}

interface Parts {
  readonly keys: TokenKeys | undefined;
  readonly access: ManagementAccess;
  readonly events: SecurityEvents;
}

/** Creates the adapter with all hooks, in the order in which they run. */
async function adapterFor(config: ServiceConfig, { keys, access, events }: Parts) {
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_LIMIT,
    // Validation checks the length of an id, like every other input.
    routerOptions: { maxParamLength: MAX_HEAD_SIZE },
    trustProxy: trustedProxies(config.TRUST_PROXY) ?? false,
    genReqId: (request: IncomingMessage) => requestIdOf(request),
    // Fastify's response is not a problem document. followHttp() sends one instead.
    return503OnClosing: false,
    frameworkErrors: (_: FastifyError, { raw: request }: FastifyRequest, { raw: response }: FastifyReply) =>
      routeUnreadable(fastify, request, response),
    ...connectionOptions(config),
  });
  const fastify: FastifyInstance = adapter.getInstance();
  // This hook runs before the CORS hook, so that a preflight has an id and a log line too.
  adapter.setOnRequestHook((request, reply, done) => {
    // Set on the raw response, so that server-sent events and hijacked replies have it too.
    reply.raw.setHeader('x-request-id', request.id);
    hideAsterisk(request.raw);
    logRequest(request.raw, reply.raw, { requestId: request.id, address: clientAddress(request) }, done);
  });
  fastify.addHook('preClose', (done) => {
    closeEventStreams(fastify.server);
    done();
  });
  guardConnections(fastify, config);
  if (config.MANAGEMENT_PORT !== undefined) addManagementServer(fastify, config);
  await addSecurityHeaders(fastify, config.NODE_ENV);
  keepPrivate(fastify, config.AUTH_MODE);
  followHttp(fastify, requestRule(fastify, config, access));
  const refuseIfOverloaded = await refuseWhenOverloaded(fastify, config);
  whileRunning(fastify, events);
  const identify = identification(config, keys);
  if (keys) {
    whileRunning(fastify, keys);
    keys.onChange(() => {
      void closeWithdrawnStreams(fastify.server, identify, keys);
      void edge.endWithdrawnStreams();
    });
  }
  identifyCallers(fastify, identify);
  const rates = await limitRates(fastify, config, { access, events });
  readJsonBodies(fastify);
  const edge = new GrpcEdge({ identify, rates, refuseIfOverloaded, calls: new RpcCalls() }, config);
  return { adapter, rates, edge };
}

function whileRunning(fastify: FastifyInstance, task: { start(): void; stop(): void }): void {
  fastify.addHook('onReady', (done) => {
    task.start();
    done();
  });
  fastify.addHook('onClose', (_, done) => {
    task.stop();
    done();
  });
}

/** Returns a function that returns the problem of a request for another host or another port. */
function requestRule(fastify: FastifyInstance, config: ServiceConfig, access: ManagementAccess) {
  const foreignHost = config.AUTH_MODE === 'dev' ? foreignHostProblem(config.ALLOWED_HOSTS) : undefined;
  const wrongPort = portRule(fastify, access);
  return (request: FastifyRequest) => foreignHost?.(request.raw) ?? wrongPort(request);
}

function identification(config: ServiceConfig, keys: TokenKeys | undefined): Identify {
  if (keys) return identifyByToken(config, keys);
  return config.AUTH_MODE === 'dev' ? identifyByHeaders : () => WITHOUT_TOKEN;
}

function allowOrigins(app: NestFastifyApplication, origins: string[]): void {
  app.enableCors({
    origin: origins,
    // The plugin's default list ends with POST. All headers that a page asks for are allowed.
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: [
      'Location',
      'ETag',
      'Idempotent-Replayed',
      'X-Request-Id',
      'Retry-After',
      'Allow',
      'WWW-Authenticate',
    ],
    maxAge: 600,
    // followHttp() answers OPTIONS, because its response has an Allow header whether or not it is a preflight.
    preflightContinue: true,
    strictPreflight: false,
  });
}

@Module({})
class ServiceModule {}

// Global, so that every module can have the config, the keys and the security events injected.
function withConfig(
  module: Type | DynamicModule,
  config: ServiceConfig,
  { keys, events, rates, access, edge }: Parts & { readonly rates: RateLimits; readonly edge: GrpcEdge },
): DynamicModule {
  const tokens = new Set<unknown>([config.constructor, ServiceConfig]);
  const providers: Provider[] = [...tokens].map((provide) => ({ provide: provide as Type, useValue: config }));
  providers.push({ provide: SecurityEvents, useValue: events });
  providers.push({ provide: GrpcEdge, useValue: edge });
  providers.push({ provide: RpcCalls, useValue: edge.calls });
  providers.push({
    provide: CallerGuard,
    inject: [Reflector],
    useFactory: (reflector: Reflector) =>
      new CallerGuard(reflector, access, (request, { kind, reason }) => {
        events.report(request, `${kind}-refused`, reason);
        if (kind === 'login') rates.countRefusedLogin(request);
      }),
  });
  providers.push({ provide: TicketGate, useValue: new TicketGate(rates, events, keys) });
  if (keys) providers.push({ provide: TokenKeys, useValue: keys });
  return {
    module: ServiceModule,
    global: true,
    imports: [module],
    providers,
    exports: [...tokens, SecurityEvents, TicketGate, RpcCalls, ...(keys ? [TokenKeys] : [])] as Type[],
  };
}
