import { Controller, Get, Global, Module, Param, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import { Gauge, Registry } from 'prom-client';
import { until } from '@twinbox/messaging/testing';
import { InProcessConfig } from '../../test/in-process-config.js';
import {
  addDatabaseGauges,
  createApp,
  loggerModule,
  MetricsModule,
  MetricsSource,
  openApiDocument,
  openEventStream,
  Public,
} from '../index.js';

class TestConfig extends InProcessConfig {
  override PORT = 0;
  override LOG_LEVEL = 'fatal' as const;
}

/** What the database says of the stock; undefined while it is down. */
let stock: number | undefined;
const readStock = () => (stock === undefined ? Promise.reject(new Error('down')) : Promise.resolve(stock));

class Source extends MetricsSource {
  readonly registry = new Registry();

  constructor() {
    super();
    const samples = (value: number) => [{ labels: {}, value }];
    addDatabaseGauges(this.registry, readStock, [{ name: 'stock', help: 'Stock.', labelNames: [], samples }]);
    const parcels = new Gauge({ name: 'parcels', help: 'Parcels.', registers: [this.registry] });
    parcels.set(7);
  }
}

@Global()
@Module({ providers: [Source], exports: [Source] })
class SourceModule {}

@Public()
@Controller('parcels')
class ParcelsController {
  @Get(':parcelId')
  parcel(@Param('parcelId') parcelId: string) {
    if (parcelId === 'bug') throw new Error('a bug');
    return { parcelId };
  }

  @Get(':parcelId/events')
  events(@Res() reply: FastifyReply): void {
    openEventStream(reply);
  }
}

@Module({
  imports: [loggerModule(new TestConfig(), 'test'), SourceModule, MetricsModule.forRoot({ sources: [Source] })],
  controllers: [ParcelsController],
})
class AppModule {}

let app: NestFastifyApplication;
let url: string;

beforeEach(async () => {
  stock = 3;
  app = await createApp(AppModule, new TestConfig(), { title: 'Test', description: 'A test.', version: '1' });
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
});

afterEach(() => app.close());

async function scrape() {
  const response = await fetch(`${url}/metrics`);
  return { status: response.status, headers: response.headers, lines: (await response.text()).split('\n') };
}

describe('GET /metrics', () => {
  it('P9 returns the metrics of the process and of every source to anyone, in the format of Prometheus', async () => {
    const { status, headers, lines } = await scrape();

    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(lines).toContain('# TYPE parcels gauge');
    expect(lines).toContain('parcels 7');
    expect(lines).toContainEqual(expect.stringMatching(/^process_resident_memory_bytes \d+$/));
    expect(lines).toContainEqual(expect.stringMatching(/^nodejs_eventloop_lag_p99_seconds /));
  });

  it('P9 counts requests by their route, method and status, however many paths are asked for', async () => {
    for (const path of ['/parcels/1', '/parcels/2', '/parcels/bug', '/nowhere/1', '/nowhere/2', '/parcels/%zz'])
      await fetch(url + path);
    await fetch(`${url}/parcels/1`, { method: 'DELETE' });

    const { lines } = await scrape();

    const counts = lines.filter((line) => line.startsWith('http_request_duration_seconds_count'));
    expect(counts).toEqual(
      expect.arrayContaining([
        'http_request_duration_seconds_count{method="GET",route="/parcels/:parcelId",status="200"} 2',
        'http_request_duration_seconds_count{method="GET",route="/parcels/:parcelId",status="500"} 1',
        'http_request_duration_seconds_count{method="GET",route="none",status="404"} 2',
        'http_request_duration_seconds_count{method="GET",route="none",status="400"} 1',
        'http_request_duration_seconds_count{method="DELETE",route="none",status="405"} 1',
      ]),
    );
    expect(lines.join('\n')).not.toMatch(/nowhere|parcels\/1/);
  });

  it('P9 counts open streams until they end', async () => {
    const client = new AbortController();
    await fetch(`${url}/parcels/1/events`, { signal: client.signal });
    const { lines } = await scrape();
    client.abort();

    expect(lines).toContain('http_open_streams 1');
    expect(lines).toContain('grpc_open_streams 0');
    await until('it has ended', async () => (await scrape()).lines.includes('http_open_streams 0'));
  });

  it('is not part of the documented API', () => {
    const { paths } = openApiDocument(app, { title: 'Test', description: 'A test.', version: '1' });

    expect(Object.keys(paths)).toEqual(['/parcels/{parcelId}', '/parcels/{parcelId}/events']);
  });

  it('returns only the metrics of its own application, even if two run in one process', async () => {
    const other = await createApp(AppModule, new TestConfig());
    await other.listen(0, '127.0.0.1');
    await fetch(`${await other.getUrl()}/parcels/1`);

    const { lines } = await scrape();

    expect(lines.join('\n')).not.toContain('/parcels/:parcelId');
    await other.close();
  });
});

describe('a gauge of the database', () => {
  it('P9 is absent while the database cannot be read, which is counted, and back afterwards', async () => {
    const becomes = (expected: string | undefined) =>
      until(
        `it is ${expected}`,
        async () => (await scrape()).lines.find((line) => line.startsWith('stock ')) === expected,
      );
    const failed = async () => {
      const line = (await scrape()).lines.find((of) => of.startsWith('database_gauge_errors_total{source="stock"} '));
      return Number(line?.split(' ').at(-1));
    };
    await becomes('stock 3');
    expect(await failed()).toBe(0);

    stock = undefined;
    await becomes(undefined);
    expect(await failed()).toBeGreaterThan(0);

    stock = 4;
    await becomes('stock 4');
  });
});
