import type { AddressInfo, Server } from 'node:net';
import { type DynamicModule, Logger as NestLogger, type Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { GrpcEdge } from '../grpc/grpc-edge.js';
import { listenForManagement } from '../http/management.js';
import type { OpenApiInfo } from '../http/openapi/document.js';
import { runningTelemetry } from '../telemetry/telemetry-state.js';
import { CannotListen, listenAt } from './cannot-listen.js';
import { createApp } from './create-app.js';
import { ConfigError, loadConfig } from './load-config.js';
import type { ServiceConfig } from './service-config.js';

/** Less than the 10 s that are guaranteed and that Docker waits before it kills a process. */
const SHUTDOWN_TIMEOUT_MS = 9000;

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
  const config = configOrExit(service);
  // An uncaught error may have left something half done. A new process starts clean, and messaging resumes from what is stored.
  const exitOnError = (error: unknown): never => {
    new NestLogger(service.name).fatal({ err: error }, 'Uncaught error, exiting.');
    return process.exit(1);
  };
  process.on('unhandledRejection', exitOnError);
  process.on('uncaughtException', exitOnError);

  let app: NestFastifyApplication;
  let managementUrl: string | undefined;
  try {
    app = await createApp(service.module(config), config, service.openApi);
    closeOnSignal(app, service.name);
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

function configOrExit<C extends ServiceConfig>({ name, configClass }: Service<C>): C {
  try {
    return loadConfig(configClass);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${name} cannot start:\n${error.problems.map((line) => `  ${line}\n`).join('')}`);
    return process.exit(1);
  }
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
    const closed = app.close().then(async () => runningTelemetry()?.stop());
    closed.then(
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
