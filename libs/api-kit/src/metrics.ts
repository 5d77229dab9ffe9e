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
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { Public } from './caller.js';
import { IgnoreQuery } from './query-guard.js';

/** Whatever has metrics to show beside the process's and the requests'. Their names must be its own. */
export abstract class MetricsSource {
  abstract readonly registry: Registry;
}

const SOURCES = Symbol('METRICS_SOURCES');

/** All metrics of the service in one registry: the process's, the requests', and those of its sources. */
@Injectable()
class ServiceMetrics {
  readonly registry: Registry;

  constructor({ httpAdapter }: HttpAdapterHost, @Inject(SOURCES) sources: readonly MetricsSource[]) {
    const own = new Registry();
    collectDefaultMetrics({ register: own });
    const requests = new Histogram({
      name: 'http_request_duration_seconds',
      help: 'From the arrival of a request until its response was sent.',
      labelNames: ['method', 'route', 'status'] as const,
      registers: [own],
    });
    httpAdapter.getInstance<FastifyInstance>().addHook('onResponse', (request, reply, done) => {
      // The pattern, never the path: anybody can ask for a path that nobody has asked for yet.
      const route = request.routeOptions.url ?? 'none';
      requests.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000);
      done();
    });
    this.registry = Registry.merge([own, ...sources.map(({ registry }) => registry)]);
  }
}

/** For Prometheus. It asks nobody who they are, and names no customer: labels are topics, consumers and routes. */
@ApiExcludeController()
@Public()
@IgnoreQuery()
@Controller('metrics')
class MetricsController {
  constructor(private readonly metrics: ServiceMetrics) {}

  @Get()
  @Header('Cache-Control', 'no-store')
  async all(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    const { registry } = this.metrics;
    reply.type(registry.contentType);
    return await registry.metrics();
  }
}

/** GET /metrics, in Prometheus' text format. */
@Module({})
export class MetricsModule {
  /** `sources` are the tokens of what has metrics, e.g. MessagingMetrics of the messaging library, of global modules. */
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
