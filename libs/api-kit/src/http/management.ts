import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { applyDecorators } from '@nestjs/common';
import { ApiExtension } from '@nestjs/swagger';
import type { ConnectionError, FastifyInstance, FastifyRequest } from 'fastify';
import type { ServiceConfig } from '../app/service-config.js';
import { clientErrorHandler } from './client-errors.js';
import { codeOfStatus } from './common-problems.js';
import { connectionOptions, guardConnections } from './connections.js';
import { ProblemException } from './problem.js';
import { AddRouteConfig } from './route-config.js';

/** Marks the routes for operators while the OpenAPI document is generated. It is not in the final document. */
export const MANAGEMENT_EXTENSION = 'x-management';

/** Who may call the routes for operators: anyone, callers with the role `operator`, or everyone who can reach the management port. */
export type ManagementAccess = 'anyone' | 'operator' | 'management-port';

/** Where a route is served: only where operators look, or on both ports. Other routes are served on the public port. */
type Ports = 'management' | 'both';

interface PortConfig {
  readonly ports?: Ports;
}

const servedOn = (ports: Ports): MethodDecorator => AddRouteConfig({ ports } satisfies PortConfig);

/** Makes a route one for operators, such as metrics. {@link managementAccess} says who may call it. */
export const ForOperators = (): MethodDecorator =>
  applyDecorators(servedOn('management'), ApiExtension(MANAGEMENT_EXTENSION, true));

/** Serves a route on the management port too, such as the probes of an orchestrator. */
export const OnBothPorts = (): MethodDecorator => servedOn('both');

/** Returns who may call the routes for operators. A process without an API has no callers, so it verifies no tokens. */
export function managementAccess(
  { AUTH_MODE, MANAGEMENT_PORT }: ServiceConfig,
  { hasApi = true } = {},
): ManagementAccess {
  if (MANAGEMENT_PORT !== undefined) return 'management-port';
  if (AUTH_MODE === 'dev') return 'anyone';
  return hasApi ? 'operator' : 'management-port';
}

const portsIn = (config: unknown): Ports | undefined => (config as PortConfig | undefined)?.ports;

/** Whether the request is for a route {@link ForOperators}. */
export function isForOperators({ routeOptions }: FastifyRequest): boolean {
  return portsIn(routeOptions.config) === 'management';
}

const arrivals = new WeakSet<IncomingMessage>();

/** Whether the request arrived at the management port, where no caller has to identify themselves. */
export function arrivedForManagement({ raw }: FastifyRequest): boolean {
  return arrivals.has(raw);
}

/**
 * Returns a function that returns a 404 for each request that the port it arrived at does not serve. Call it before any route is
 * registered.
 */
export function portRule(
  fastify: FastifyInstance,
  access: ManagementAccess,
): (request: FastifyRequest) => ProblemException | undefined {
  const portsOf = new Map<string, Ports | undefined>();
  fastify.addHook('onRoute', ({ url, config }) => void portsOf.set(url, portsIn(config)));
  return (request) => {
    const [path = ''] = request.url.split('?', 1);
    // A path with another method, or OPTIONS, has no route of its own.
    const { url: pattern = path } = request.routeOptions;
    const ports = portsOf.get(pattern === '*' ? path : pattern);
    const isServed = arrivedForManagement(request)
      ? ports !== undefined
      : ports !== 'management' || access !== 'management-port';
    return isServed ? undefined : notFound(request.method, path);
  };
}

/** The path has no query, which may contain a token by mistake. */
function notFound(method: string, path: string): ProblemException {
  return new ProblemException({
    code: codeOfStatus(404),
    status: 404,
    title: 'Not Found.',
    detail: `Cannot ${method} ${path}`,
  });
}

const servers = new WeakMap<FastifyInstance, Server>();

/**
 * Creates the server of the management port, which passes its requests to the same routes. It has the limits of the public one, but its own
 * connections, so that it answers when the public port accepts no more. {@link listenForManagement} starts it, and it stops with the
 * application.
 */
export function addManagementServer(fastify: FastifyInstance, config: ServiceConfig): void {
  const { http, keepAliveTimeout, connectionTimeout } = connectionOptions(config);
  const server = createServer({ ...http, keepAliveTimeout }, (request, response) => {
    arrivals.add(request);
    fastify.routing(request, response);
  });
  server.setTimeout(connectionTimeout);
  server.on('clientError', (error, socket) => clientErrorHandler(error as ConnectionError, socket as Socket));
  guardConnections(fastify, config, server);
  // Not once(), which rejects if the server cannot listen.
  const closed = new Promise<void>((resolve) => void server.once('close', resolve));
  fastify.addHook('preClose', (done) => {
    server.close();
    done();
  });
  fastify.addHook('onClose', () => closed);
  servers.set(fastify, server);
}

/** Starts the server that {@link addManagementServer} has created. */
export async function listenForManagement(fastify: FastifyInstance, port: number, host: string): Promise<Server> {
  const server = servers.get(fastify);
  if (!server) throw new Error('There is no management server, because MANAGEMENT_PORT is not set.');
  // Rejects if the server emits an error instead.
  await once(server.listen(port, host), 'listening');
  return server;
}
