import { ServerCredentials, setLogger } from '@grpc/grpc-js';
import { Logger } from '@nestjs/common';
import type { NestMicroservice } from '@nestjs/microservices';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { listenAt } from '../app/cannot-listen.js';
import { HealthController } from '../app/health.controller.js';
import { ServiceConfig } from '../app/service-config.js';
import { CallerGuard } from '../http/caller-guard.js';
import { GrpcEdge } from './grpc-edge.js';
import { GrpcServer, type GrpcServices } from './grpc-server.js';
import { GrpcHealth } from './health-service.js';
import { addReflection } from './reflection.js';
import { RpcProblemFilter } from './rpc-problem-filter.js';

/** What a service offers by gRPC. */
export interface GrpcApi {
  readonly services: GrpcServices;
  /** A serialized google.protobuf.FileDescriptorSet with the services and all that they import, for reflection. */
  readonly descriptors: Uint8Array;
}

/**
 * Serves an API by gRPC on GRPC_PORT, beside HTTP and with the same callers, limits and problems. Call it before the application listens;
 * `app.startAllMicroservices()` starts answering. Does nothing with `GRPC_PORT=off`. Health and reflection are part of it; reflection
 * follows DOCS.
 * @throws CannotListen, or an error if a method has no handler
 */
export async function connectGrpc(app: NestFastifyApplication, { services, descriptors }: GrpcApi): Promise<void> {
  const config = app.get(ServiceConfig);
  const { GRPC_PORT, HOST, DOCS } = config;
  if (GRPC_PORT === false) return;
  logByNest();
  const edge = app.get(GrpcEdge);
  const controller = app.get(HealthController);
  const health = new GrpcHealth(new Set(Object.keys(services)), () => controller.isReady());
  const strategy = new GrpcServer({
    services,
    edge,
    config,
    credentials: credentialsOf(config),
    addServices: (server) => {
      health.addTo(server);
      if (DOCS === 'on') addReflection(server, descriptors, [...Object.keys(services), 'grpc.health.v1.Health']);
    },
    onStopping: () => health.stop(),
  });
  await listenAt({ HOST }, { GRPC_PORT }, async (port, address) => {
    edge.listensOn(address, await strategy.bind(address, port));
  });
  // Before the requests of HTTP have drained, because the streams would otherwise wait for them.
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('preClose', (done) => {
      void strategy.close();
      done();
    });
  // Initialisation is deferred because Nest otherwise ignores the guards and filters. The application runs the lifecycle hooks.
  const microservice = app.connectMicroservice({ strategy }, { deferInitialization: true }) as NestMicroservice;
  microservice.setIsInitHookCalled(true);
  microservice.useGlobalGuards(app.get(CallerGuard));
  microservice.useGlobalFilters(new RpcProblemFilter());
}

/** Logs at the debug level what grpc-js would write to stderr. Errors that matter reach a caller or end the start anyway. */
function logByNest(): void {
  const logger = new Logger('gRPC');
  const debug = (...parts: unknown[]): void => logger.debug(parts.join(' '));
  setLogger({ error: debug, info: debug, debug });
}

function credentialsOf({ GRPC_TLS_CERT, GRPC_TLS_KEY }: ServiceConfig): ServerCredentials {
  if (GRPC_TLS_CERT === undefined || GRPC_TLS_KEY === undefined) return ServerCredentials.createInsecure();
  const pair = { cert_chain: Buffer.from(GRPC_TLS_CERT), private_key: Buffer.from(GRPC_TLS_KEY) };
  return ServerCredentials.createSsl(null, [pair]);
}
