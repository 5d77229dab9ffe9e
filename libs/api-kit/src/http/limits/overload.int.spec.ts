import { Controller, Get, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { until } from '@twinbox/messaging/testing';
import { listenWithThings, type ThingClient, ThingModule } from '../../../test/thing-service.js';
import { createApp, loggerModule, MetricsModule, Public, ServiceConfig } from '../../index.js';

@Public()
@Controller()
class PingController {
  @Get('ping')
  ping() {
    return {};
  }
}

class TestConfig extends ServiceConfig {
  override PORT = 0;
  override GRPC_PORT = 0;
}

@Module({
  imports: [
    loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'ping'),
    MetricsModule.forRoot({ sources: [] }),
    ThingModule,
  ],
  controllers: [PingController],
})
class PingModule {}

const apps: NestFastifyApplication[] = [];
const clients: ThingClient[] = [];
afterAll(() => {
  for (const client of clients) client.close();
  return Promise.all(apps.map((app) => app.close()));
});

async function start(maxDelay: number | false): Promise<{ readonly url: string; readonly client: ThingClient }> {
  const app = await createApp(PingModule, Object.assign(new TestConfig(), { MAX_EVENT_LOOP_DELAY: maxDelay }));
  apps.push(app);
  const client = await listenWithThings(app);
  clients.push(client);
  return { url: await app.getUrl(), client };
}

const ADA = { 'x-user-id': 'ada' };

/** Keeps the event loop, which the service and the test share, busy most of the time until the returned function is called. */
function overload(): () => void {
  const busy = setInterval(() => {
    const end = performance.now() + 100;
    while (performance.now() < end);
  }, 1);
  return () => clearInterval(busy);
}

describe('an event loop that is too slow', () => {
  it('P8 makes the service refuse requests and calls early, except for health and metrics, until it has caught up', async () => {
    const { url, client } = await start(50);
    const unlimited = await start(false);
    const stop = overload();

    const refused = await until('a request is refused', async () => {
      const answer = await fetch(`${url}/ping`);
      return answer.status === 200 ? undefined : { answer, body: await answer.json() };
    });
    const others = await Promise.all(
      [`${url}/health/live`, `${url}/metrics`, `${unlimited.url}/ping`].map((each) => fetch(each)),
    );
    const [call, otherCall] = await Promise.all([client.getThing(ADA), unlimited.client.getThing(ADA)]);
    stop();

    expect(refused.answer.status).toBe(503);
    expect(refused.answer.headers.get('retry-after')).toBe('1');
    expect(refused.answer.headers.get('content-type')).toBe('application/problem+json');
    expect(refused.body).toMatchObject({ type: 'urn:twinbox:problem:overloaded', status: 503 });
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(call).toMatchObject({ status: 'UNAVAILABLE', reason: 'overloaded', retryAfter: 1 });
    expect(otherCall.status).toBe('OK');
    await until('requests are answered again', async () => (await fetch(`${url}/ping`)).status === 200);
    expect((await client.getThing(ADA)).status).toBe('OK');
  });
});
