import {
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { ServerGrpc } from '@nestjs/microservices';
import { GrpcMethodStreamingType } from '@nestjs/microservices/decorators/message-pattern.decorator.js';
import type { GrpcEdge } from './grpc-edge.js';
import type { Call } from './rpc-request.js';
import { decodeSafely } from './undecodable.js';

/** In bytes. As for a body of HTTP; the largest valid order is far smaller. */
const MAX_MESSAGE = 100 * 1024;
/** How many calls of one connection may be open, the least that RFC 9113, section 6.5.2, recommends. */
const MAX_STREAMS = 100;
/** In milliseconds. Detects clients that are gone, as heartbeats do for server-sent events. */
const KEEPALIVE = { 'grpc.keepalive_time_ms': 15_000, 'grpc.keepalive_timeout_ms': 10_000 };
/** How long calls in flight may take after the streams have ended. The process has 9 s to stop. */
const SHUTDOWN_MS = 5000;

/** The services of an application by their full names, such as `twinbox.orders.v1.OrderService`. */
export type GrpcServices = Readonly<Record<string, ServiceDefinition>>;

export interface GrpcServerOptions {
  readonly services: GrpcServices;
  readonly edge: GrpcEdge;
  readonly credentials: ServerCredentials;
  /** Adds further services, such as health and reflection. */
  readonly addServices: (server: Server) => void;
  /** Called when the server begins to stop. */
  readonly onStopping: () => void;
}

/**
 * Nest's gRPC transport with the definitions of the compiled contracts. Every method needs a handler. Calls go through the edge, streams are
 * ended before the server stops, and stopping takes 5 s at most.
 */
export class GrpcServer extends ServerGrpc {
  private server: Server | undefined;

  constructor(private readonly parts: GrpcServerOptions) {
    // Nest needs a package and a loader of .proto files only for the parts that are replaced here.
    super({ package: '', packageDefinition: {}, protoLoader: '@grpc/grpc-js' });
  }

  /**
   * Listens on an address before the handlers are known. Calls are answered once the application has called {@link listen}.
   * @returns the port
   * @throws with the `code` of the system's error
   */
  async bind(host: string, port: number): Promise<number> {
    const server = new Server({
      'grpc.max_receive_message_length': MAX_MESSAGE,
      'grpc.max_concurrent_streams': MAX_STREAMS,
      ...KEEPALIVE,
    });
    const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    this.server = server;
    this.grpcClient = server;
    return new Promise((resolve, reject) => {
      server.bindAsync(address, this.parts.credentials, (error, bound) =>
        error ? reject(withSystemCode(error)) : resolve(bound),
      );
    });
  }

  override async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      this.addHandlers();
      callback();
    } catch (error) {
      callback(error);
    }
    await Promise.resolve();
  }

  override async close(): Promise<void> {
    const { server } = this;
    if (!server) return;
    this.server = undefined;
    this.parts.onStopping();
    this.parts.edge.close();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, SHUTDOWN_MS);
      server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    server.forceShutdown();
  }

  private addHandlers(): void {
    const missing: string[] = [];
    for (const [name, definition] of Object.entries(this.parts.services)) {
      const service = name.slice(name.lastIndexOf('.') + 1);
      const implementation: UntypedServiceImplementation = {};
      for (const [key, method] of Object.entries(definition)) {
        const rpc = method.path.slice(method.path.lastIndexOf('/') + 1);
        const handler = this.getMessageHandler(service, rpc, GrpcMethodStreamingType.NO_STREAMING, method);
        if (!handler || method.requestStream) {
          missing.push(`${name}/${rpc}`);
          continue;
        }
        const serve = this.createServiceMethod(handler, method, GrpcMethodStreamingType.NO_STREAMING);
        implementation[key] = (call: Call, callback?: sendUnaryData<unknown>) =>
          this.parts.edge.handle(method, call, callback, serve as (call: Call) => unknown);
      }
      this.server?.addService(withSafeDecoders(definition), implementation);
    }
    if (missing.length > 0) throw new Error(`These gRPC methods have no handler: ${missing.join(', ')}.`);
    if (this.server) this.parts.addServices(this.server);
  }
}

function withSafeDecoders(definition: ServiceDefinition): ServiceDefinition {
  const methods = Object.entries(definition).map(([key, method]) => [
    key,
    { ...method, requestDeserialize: decodeSafely((bytes) => method.requestDeserialize(bytes) as unknown) },
  ]);
  return Object.fromEntries(methods) as ServiceDefinition;
}

/** grpc-js reports only the text of a system error. */
function withSystemCode(error: Error): Error {
  const [code] = /\b(EADDRINUSE|EACCES|EADDRNOTAVAIL)\b/.exec(error.message) ?? [];
  return code === undefined ? error : Object.assign(error, { code });
}
