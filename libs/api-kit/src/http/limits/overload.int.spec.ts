import { Controller, Get, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { until } from '@twinbox/messaging/testing';
import { createApp, loggerModule, Public, ServiceConfig } from '../../index.js';

@Public()
@Controller()
class PingController {
  @Get(['ping', 'health', 'metrics'])
  ping() {
    return {};
  }
}

class TestConfig extends ServiceConfig {
  override PORT = 0;
}

@Module({
  imports: [loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'ping')],
  controllers: [PingController],
})
class PingModule {}

const apps: NestFastifyApplication[] = [];
afterAll(() => Promise.all(apps.map((app) => app.close())));

async function start(maxDelay: number | false): Promise<string> {
  const app = await createApp(PingModule, Object.assign(new TestConfig(), { MAX_EVENT_LOOP_DELAY: maxDelay }));
  apps.push(app);
  await app.listen(0, '127.0.0.1');
  return await app.getUrl();
}

/** Keeps the event loop, which the service and the test share, busy most of the time until the returned function is called. */
function overload(): () => void {
  const busy = setInterval(() => {
    const end = performance.now() + 100;
    while (performance.now() < end);
  }, 1);
  return () => clearInterval(busy);
}

describe('an event loop that is too slow', () => {
  it('P8 makes the service refuse requests early, except for health and metrics, until it has caught up', async () => {
    const url = await start(50);
    const unlimited = await start(false);
    const stop = overload();

    const refused = await until('a request is refused', async () => {
      const answer = await fetch(`${url}/ping`);
      return answer.status === 200 ? undefined : { answer, body: await answer.json() };
    });
    const others = await Promise.all(
      [`${url}/health`, `${url}/metrics`, `${unlimited}/ping`].map((each) => fetch(each)),
    );
    stop();

    expect(refused.answer.status).toBe(503);
    expect(refused.answer.headers.get('retry-after')).toBe('1');
    expect(refused.answer.headers.get('content-type')).toBe('application/problem+json');
    expect(refused.body).toMatchObject({ type: 'urn:twinbox:problem:overloaded', status: 503 });
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200]);
    await until('requests are answered again', async () => (await fetch(`${url}/ping`)).status === 200);
  });
});
