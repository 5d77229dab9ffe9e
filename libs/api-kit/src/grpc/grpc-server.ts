import { once } from 'node:events';
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net';
import {
  type ConnectionInjector,
  type sendUnaryData,
  Server,
  type ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { ServerGrpc } from '@nestjs/microservices';
import { GrpcMethodStreamingType } from '@nestjs/microservices/decorators/message-pattern.decorator.js';
import type { ServiceConfig } from '../app/service-config.js';
import { refusalLog } from '../http/connections.js';
import { callTimeouts } from './call-timeouts.js';
import type { GrpcEdge } from './grpc-edge.js';
import type { Call } from './rpc-request.js';
import { decodeSafely } from './undecodable.js';

/** In bytes. As for a body of HTTP; the largest valid order is far smaller. */
const MAX_MESSAGE = 100 * 1024;
/** How many calls of one connection may be open, the least that RFC 9113, section 6.5.2, recommends. */
const MAX_STREAMS = 100;
/** In MB. A connection whose client reads nothing gets no further calls beyond it. */
const MAX_SESSION_MEMORY = 10;
/** In milliseconds. Detects clients that are gone, as heartbeats do for server-sent events. */
const KEEPALIVE = { 'grpc.keepalive_time_ms': 15_000, 'grpc.keepalive_timeout_ms': 10_000 };
/** How long calls in flight may take after the streams have ended. The process has 9 s to stop. */
const SHUTDOWN_MS = 5000;

/** The services of an application by their full names, such as `twinbox.orders.v1.OrderService`. */
export type GrpcServices = Readonly<Record<string, ServiceDefinition>>;

export interface GrpcServerOptions {
  readonly services: GrpcServices;
  readonly edge: GrpcEdge;
  readonly config: ServiceConfig;
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
  private readonly server: Server;
  private readonly listener: NetServer;
  private readonly injector: ConnectionInjector;
  /** Connections that arrived before the handlers were known. */
  private waiting: Socket[] | undefined = [];
  private stopped: Promise<void> | undefined;

  constructor(private readonly parts: GrpcServerOptions) {
    // Nest needs a package and a loader of .proto files only for the parts that are replaced here.
    super({ package: '', packageDefinition: {}, protoLoader: '@grpc/grpc-js' });
    const { MAX_CONNECTIONS, KEEP_ALIVE_TIMEOUT } = parts.config;
    this.server = new Server({
      interceptors: [callTimeouts(parts.config)],
      'grpc.max_receive_message_length': MAX_MESSAGE,
      'grpc.max_concurrent_streams': MAX_STREAMS,
      'grpc.max_connection_idle_ms': KEEP_ALIVE_TIMEOUT,
      'grpc-node.max_session_memory': MAX_SESSION_MEMORY,
      ...KEEPALIVE,
    });
    this.grpcClient = this.server;
    this.injector = this.server.createConnectionInjector(parts.credentials);
    // Our own listener, because that of grpc-js has no limit.
    this.listener = createServer((socket) => this.accept(socket));
    this.listener.maxConnections = MAX_CONNECTIONS;
    this.listener.on('drop', refusalLog(MAX_CONNECTIONS));
  }

  /**
   * Listens on an address before the handlers are known. Connections wait until the application has called {@link listen}.
   * @returns the port
   * @throws with the `code` of the system's error
   */
  async bind(host: string, port: number): Promise<number> {
    await once(this.listener.listen(port, host), 'listening');
    return (this.listener.address() as AddressInfo).port;
  }

  override async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      this.addHandlers();
      const { waiting = [] } = this;
      this.waiting = undefined;
      for (const socket of waiting) this.accept(socket);
      callback();
    } catch (error) {
      callback(error);
    }
    await Promise.resolve();
  }

  /** Ends the streams, and waits until the calls in flight are answered. Further calls return the same promise. */
  override close(): Promise<void> {
    this.stopped ??= this.stop();
    return this.stopped;
  }

  private async stop(): Promise<void> {
    this.parts.onStopping();
    this.parts.edge.close();
    for (const socket of this.waiting ?? []) socket.destroy();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, SHUTDOWN_MS);
      // Waits for all connections. grpc-js does not wait for those that it did not accept itself, but closes them when their calls have ended.
      this.listener.close(() => {
        clearTimeout(timer);
        resolve();
      });
      this.server.tryShutdown(() => undefined);
    });
    this.server.forceShutdown();
  }

  private accept(socket: Socket): void {
    // A client that resets its connection. 'close' follows.
    socket.on('error', () => undefined);
    if (this.waiting) this.waiting.push(socket);
    else this.injector.injectConnection(socket);
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
      this.server.addService(withSafeDecoders(definition), implementation);
    }
    if (missing.length > 0) throw new Error(`These gRPC methods have no handler: ${missing.join(', ')}.`);
    this.parts.addServices(this.server);
  }
}

function withSafeDecoders(definition: ServiceDefinition): ServiceDefinition {
  const methods = Object.entries(definition).map(([key, method]) => [
    key,
    { ...method, requestDeserialize: decodeSafely((bytes) => method.requestDeserialize(bytes) as unknown) },
  ]);
  return Object.fromEntries(methods) as ServiceDefinition;
}
