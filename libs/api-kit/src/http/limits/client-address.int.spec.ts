import { Controller, Get, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { until } from '@twinbox/messaging/testing';
import { InProcessConfig } from '../../../test/in-process-config.js';
import { createApp, loggerModule, Public } from '../../index.js';
import { trustedProxies } from './client-address.js';

@Public()
@Controller('ping')
class PingController {
  @Get()
  ping() {
    return {};
  }
}

const lines: string[] = [];

@Module({
  imports: [
    loggerModule({ LOG_LEVEL: 'info', LOG_FORMAT: 'json' }, 'ping', { write: (line) => void lines.push(line) }),
  ],
  controllers: [PingController],
})
class PingModule {}

class TestConfig extends InProcessConfig {
  override PORT = 0;
}

const apps: NestFastifyApplication[] = [];
afterAll(() => Promise.all(apps.map((app) => app.close())));

async function start(trustProxy: string): Promise<string> {
  const app = await createApp(PingModule, Object.assign(new TestConfig(), { TRUST_PROXY: trustProxy }));
  apps.push(app);
  await app.listen(0, '127.0.0.1');
  return await app.getUrl();
}

/** Returns the address that the log names for a request from 127.0.0.1 with this header. */
async function addressFor(url: string, forwardedFor: string): Promise<string | undefined> {
  const id = `r-${lines.length}`;
  await fetch(`${url}/ping`, { headers: { 'x-request-id': id, 'x-forwarded-for': forwardedFor } });
  const line = await until('the request is logged', () => lines.find((each) => each.includes(`"requestId":"${id}"`)));
  return (JSON.parse(line) as { address?: string }).address;
}

describe("the client's address", () => {
  it('P10 is that of the connection without TRUST_PROXY, whatever the client claims', async () => {
    const url = await start('off');

    for (const claim of ['192.0.2.7', '127.0.0.1, 192.0.2.7', 'unknown'])
      expect(await addressFor(url, claim)).toBe('127.0.0.1');
  });

  it('P10 is the last one that a trusted proxy has seen, not one that the client invents before it', async () => {
    const url = await start('127.0.0.1,10.0.0.0/8');

    expect(await addressFor(url, '192.0.2.7')).toBe('192.0.2.7');
    expect(await addressFor(url, '198.51.100.1, 192.0.2.7, 10.1.2.3')).toBe('192.0.2.7');
    expect(await addressFor(url, '192.0.2.7:41234')).toBe('192.0.2.7');
    expect(await addressFor(url, '[2001:db8::7]:41234')).toBe('2001:db8::7');
    expect(await addressFor(url, 'fe80::7%eth0')).toBe('fe80::7');
    expect(await addressFor(url, 'unknown')).toBe('127.0.0.1');
  });

  it('P10 is that of the connection if the proxy is not a trusted one', async () => {
    expect(await addressFor(await start('10.0.0.0/8'), '192.0.2.7')).toBe('127.0.0.1');
  });

  it('P10 is found behind a number of proxies, each of which adds one', async () => {
    const url = await start('2');

    expect(await addressFor(url, '198.51.100.1, 192.0.2.7, 10.1.2.3')).toBe('192.0.2.7');
  });
});

describe('TRUST_PROXY', () => {
  it.each(['off', '1', '16', '192.0.2.7', '10.0.0.0/8, 192.0.2.7', '2001:db8::/32', '::1'])('may be %s', (value) => {
    expect(trustedProxies(value)).toBeDefined();
  });

  it.each([
    '',
    'on',
    'true',
    '0',
    '17',
    '10.0.0.0/8,',
    '10.0.0.0/0',
    '10.0.0.0/33',
    '::/129',
    'localhost',
    '10.0.0.0/8/8',
  ])('may not be %j', (value) => {
    expect(trustedProxies(value)).toBeUndefined();
  });
});
