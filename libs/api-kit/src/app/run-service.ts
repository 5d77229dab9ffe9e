import type { AddressInfo, Server } from 'node:net';
import { type DynamicModule, Logger as NestLogger, type Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { GrpcEdge } from '../grpc/grpc-edge.js';
import { listenForManagement } from '../http/management.js';
import type { OpenApiInfo } from '../http/openapi/document.js';
import { runningTelemetry } from '../telemetry/telemetry-state.js';
import { CannotListen, listenAt } from './cannot-listen.js';
import { closeOnSignal, exitOnUncaught } from './close-on-signal.js';
import { createApp } from './create-app.js';
import { configOrExit } from './config-or-exit.js';
import type { ServiceConfig } from './service-config.js';

/** The description of a service, which its `main.ts` passes to {@link runService}. */
export interface Service<C extends ServiceConfig> {
  /** The name of the service in the log. */
  readonly name: string;
  readonly configClass: new () => C;
  readonly module: (config: C) => Type | DynamicModule;
  /** Connects microservices (the consumers, and gRPC). They start once the service listens. */
  readonly configure?: (app: NestFastifyApplication, config: C) => void | Promise<void>;
  /** Omitted by a process without an API, which has no documentation to serve. */
  readonly openApi?: OpenApiInfo;
}

/**
 * Runs a service; the whole body of a `main.ts`. An invalid variable or a port in use ends the process with exit code 1 and lines that say
 * what to do. A database or Kafka that is not available yet does not. SIGTERM and SIGINT end the process with exit code 0 once the work in
 * flight is done, or with 1 after 9 s.
 */
export async function runService<C extends ServiceConfig>(service: Service<C>): Promise<void> {
  const config = configOrExit(service.name, service.configClass);
  const exitOnError = exitOnUncaught(service.name);
  let app: NestFastifyApplication;
  let managementUrl: string | undefined;
  try {
    app = await createApp(service.module(config), config, service.openApi);
    closeOnSignal(service.name, async () => {
      await app.close();
      await runningTelemetry()?.stop();
    });
    await service.configure?.(app, config);
    // The ports come first, because an accidental second instance must not take over partitions from the first one before it fails.
    managementUrl = await listen(app, config);
    await app.startAllMicroservices();
  } catch (error) {
    if (!(error instanceof CannotListen)) return exitOnError(error);
    process.stderr.write(`${service.name} cannot start: ${error.message}\n`);
    return process.exit(1);
  }
  logStart(service, config, app, managementUrl);
}

function logStart<C extends ServiceConfig>(
  { name, openApi }: Service<C>,
  { AUTH_MODE, DOCS }: C,
  app: NestFastifyApplication,
  managementUrl: string | undefined,
): void {
  const logger = new NestLogger(name);
  const { url, localUrl } = urlsOf(app.getHttpServer());
  const grpc = app.get(GrpcEdge).address;
  if (openApi && AUTH_MODE === 'dev')
    logger.warn(
      `AUTH_MODE=dev: anyone who can reach ${url} can act as any user with any role. Use it for development only.`,
    );
  if (!openApi && AUTH_MODE === 'jwt' && !managementUrl)
    logger.warn(
      'Metrics and detailed health are not served, because this process verifies no tokens. Set MANAGEMENT_PORT.',
    );
  const parts = [
    `Listening on ${url}`,
    ...(openApi && DOCS === 'on' ? [`documentation at ${localUrl}/docs`] : []),
    ...(grpc === undefined ? [] : [`gRPC on ${grpc}`]),
    ...(managementUrl ? [`metrics and health on ${managementUrl}`] : []),
  ];
  logger.log(parts.join(', '));
}

/** Listens on PORT, and on MANAGEMENT_PORT if it is set. Returns the address of the latter. @throws CannotListen */
async function listen(app: NestFastifyApplication, config: ServiceConfig): Promise<string | undefined> {
  const { HOST, PORT, MANAGEMENT_PORT, MANAGEMENT_HOST } = config;
  await listenAt({ HOST }, { PORT }, (port, address) => app.listen(port, address));
  if (MANAGEMENT_PORT === undefined) return undefined;
  const fastify = app.getHttpAdapter().getInstance();
  const host = MANAGEMENT_HOST === undefined ? { HOST } : { MANAGEMENT_HOST };
  const server = await listenAt(host, { MANAGEMENT_PORT }, (port, address) =>
    listenForManagement(fastify, port, address),
  );
  return urlsOf(server).url;
}

/** Returns the address that the service listens on and one to open on this machine. They differ if it listens on every address. */
function urlsOf(server: Pick<Server, 'address'>): { url: string; localUrl: string } {
  const { address, family, port } = server.address() as AddressInfo;
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  return { url, localUrl: ['0.0.0.0', '::'].includes(address) ? `http://localhost:${port}` : url };
}
