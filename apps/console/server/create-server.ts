import { setMaxListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import fastifyCookie from '@fastify/cookie';
import { closeConnectionsWhenIdle, requestIdOf } from '@twinbox/api-kit/edge';
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { servePages } from './assets.js';
import { CallerSession } from './caller-session.js';
import type { ConsoleConfig } from './config.js';
import { Cookies } from './cookies.js';
import { addCspReports } from './csp-reports.js';
import { DemoOrders } from './demo.js';
import { Metrics } from './metrics.js';
import { OpenIdClient } from './openid-client.js';
import { answerProblems } from './problems.js';
import { addProxy } from './proxy.js';
import { observeRequests } from './request-log.js';
import { refuseOtherOrigins } from './same-origin.js';
import { addSecurityHeaders } from './security-headers.js';
import { addSessionRoutes } from './session-routes.js';
import { Sessions } from './sessions.js';
import { SignIn } from './sign-in.js';

/** In bytes. For the console's own requests; those to the services are limited there. */
const BODY_LIMIT = 16 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;

export interface ServerOptions {
  readonly logger: FastifyBaseLogger;
  /** The directory with the built pages. */
  readonly pages?: string;
}

/** The console's server, and the one for metrics if MANAGEMENT_PORT is set. Neither listens yet. */
export interface ConsoleServer {
  readonly server: FastifyInstance;
  readonly management: FastifyInstance | undefined;
}

/** @throws NoPages if the pages have not been built */
export async function createServer(config: ConsoleConfig, { logger, pages }: ServerOptions): Promise<ConsoleServer> {
  const server = newServer(logger);
  server.server.maxConnections = config.MAX_CONNECTIONS;
  closeConnectionsWhenIdle(server);
  const sessions = new Sessions({
    idleMs: config.SESSION_IDLE,
    lifetimeMs: config.SESSION_LIFETIME,
    maxSessions: config.MAX_SESSIONS,
  });
  const closing = endOf(server, sessions);
  const cookies = new Cookies(config.PUBLIC_URL?.startsWith('https:') ?? false);
  const caller = new CallerSession(sessions, cookies);
  const metrics = new Metrics(sessions);

  observeRequests(server, metrics);
  addSecurityHeaders(server, config);
  answerProblems(server);
  refuseOtherOrigins(server, config);
  await server.register(fastifyCookie);
  addHealth(server);
  addCspReports(server, metrics);
  const signIn = config.AUTH_MODE === 'jwt' ? signInAt(server, config, sessions, cookies) : undefined;
  addSessionRoutes(server, { config, sessions, cookies, caller, signIn });
  addProxy(server, { config, caller, metrics, closing });
  if (config.DEMO === 'on') new DemoOrders(config, caller).addRoutes(server);
  const management = config.MANAGEMENT_PORT === undefined ? undefined : newServer(logger);
  if (management) server.addHook('onClose', () => management.close());
  if (management ?? config.AUTH_MODE === 'dev') addMetrics(management ?? server, metrics);
  await servePages(server, pages ?? join(import.meta.dirname, '../web'), config);
  return { server, management };
}

function newServer(logger: FastifyBaseLogger): FastifyInstance {
  return fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: (request: IncomingMessage) => requestIdOf(request),
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    return503OnClosing: false,
    // The id of an aggregate may have 255 characters, each of them escaped.
    routerOptions: { maxParamLength: 4096 },
  });
}

/** Returns a signal that ends the event streams when the server closes, because it would otherwise wait for their end. */
function endOf(server: FastifyInstance, sessions: Sessions): AbortSignal {
  const closing = new AbortController();
  // Each open stream listens.
  setMaxListeners(0, closing.signal);
  server.addHook('preClose', (done) => {
    closing.abort();
    done();
  });
  server.addHook('onClose', (_, done) => {
    sessions.close();
    done();
  });
  return closing.signal;
}

function signInAt(server: FastifyInstance, config: ConsoleConfig, sessions: Sessions, cookies: Cookies): SignIn {
  const client = new OpenIdClient(config);
  server.addHook('onClose', () => client.close());
  const signIn = new SignIn(config, client, sessions, cookies);
  signIn.addRoutes(server);
  return signIn;
}

/** The console is ready without its services, because its pages show that a service is away. */
function addHealth(server: FastifyInstance): void {
  let isClosing = false;
  server.addHook('preClose', (done) => {
    isClosing = true;
    done();
  });
  server.get('/health/live', () => ({ status: 'ok' }));
  server.get('/health/ready', (_, reply) =>
    reply.code(isClosing ? 503 : 200).send({ status: isClosing ? 'error' : 'ok' }),
  );
}

function addMetrics(server: FastifyInstance, { registry }: Metrics): void {
  server.get('/metrics', async (_, reply) => reply.type(registry.contentType).send(await registry.metrics()));
}
