import {
  type Abstract,
  Controller,
  type DynamicModule,
  Get,
  Header,
  Inject,
  Injectable,
  Module,
  Res,
  type Type,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { RpcCalls } from '../grpc/rpc-calls.js';
import { openEventStreams } from '../http/event-stream.js';
import { ForOperators } from '../http/management.js';
import { IgnoreQuery } from '../http/query-guard.js';
import { reportedStatus } from '../http/reported-status.js';
import { countFailedReadings } from './database-gauges.js';

/** A source of further metrics besides those of the process and of requests. The names of its metrics must be unique. */
export abstract class MetricsSource {
  abstract readonly registry: Registry;
}

const SOURCES = Symbol('METRICS_SOURCES');

/** Collects all metrics of the service in one registry: those of the process, of requests, and of the sources. */
@Injectable()
class ServiceMetrics {
  readonly registry: Registry;

  constructor(
    { httpAdapter }: HttpAdapterHost,
    @Inject(SOURCES) sources: readonly MetricsSource[],
    rpcCalls: RpcCalls,
  ) {
    const own = new Registry();
    collectDefaultMetrics({ register: own });
    const requests = new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time from the arrival of a request until its response was sent.',
      labelNames: ['method', 'route', 'status'] as const,
      registers: [own],
    });
    httpAdapter.getInstance<FastifyInstance>().addHook('onResponse', (request, reply, done) => {
      // The pattern, never the path, because clients can request any number of different paths.
      const route = request.routeOptions.url ?? 'none';
      const status = reportedStatus(request.raw, reply.statusCode);
      requests.observe({ method: request.method, route, status }, reply.elapsedTime / 1000);
      done();
    });
    const calls = new Histogram({
      name: 'grpc_request_duration_seconds',
      help: 'Time from the arrival of a gRPC call until it was answered.',
      labelNames: ['method', 'status'] as const,
      registers: [own],
    });
    rpcCalls.onFinished(({ method, status, elapsedMs }) => calls.observe({ method, status }, elapsedMs / 1000));
    const streams = (name: string, help: string, open: () => number) =>
      new Gauge({
        name,
        help,
        registers: [own],
        collect() {
          this.set(open());
        },
      });
    const { server } = httpAdapter.getInstance<FastifyInstance>();
    streams('http_open_streams', 'Open streams of server-sent events.', () => openEventStreams(server));
    streams('grpc_open_streams', 'Open gRPC streams to clients.', () => rpcCalls.openStreams);
    const registries = sources.map(({ registry }) => registry);
    countFailedReadings(own, registries);
    this.registry = Registry.merge([own, ...registries]);
  }
}

/** Serves the metrics to Prometheus. Their labels identify no customer, only topics, consumers and routes. */
@ApiExcludeController()
@IgnoreQuery()
@Controller('metrics')
class MetricsController {
  constructor(private readonly metrics: ServiceMetrics) {}

  @Get()
  @ForOperators()
  @Header('Cache-Control', 'no-store')
  async all(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    const { registry } = this.metrics;
    reply.type(registry.contentType);
    return await registry.metrics();
  }
}

/** Serves GET /metrics in Prometheus' text format. */
@Module({})
export class MetricsModule {
  /** `sources` are the tokens of further metrics, such as MessagingMetrics of the messaging library. Their modules must be global. */
  static forRoot({
    sources,
  }: {
    readonly sources: readonly (Type<MetricsSource> | Abstract<MetricsSource>)[];
  }): DynamicModule {
    return {
      module: MetricsModule,
      controllers: [MetricsController],
      providers: [
        ServiceMetrics,
        { provide: SOURCES, inject: [...sources], useFactory: (...found: MetricsSource[]) => found },
      ],
    };
  }
}
