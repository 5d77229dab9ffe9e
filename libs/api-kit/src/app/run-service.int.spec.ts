import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

/** A minimal service from the built library. It runs in a separate process, because these tests end processes. */
const script = `
  import 'reflect-metadata';
  import { Controller, Get, Module } from '@nestjs/common';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { loggerModule, Public, runService, ServiceConfig } from '@twinbox/api-kit';

  class Waits {
    async second() { console.log('in flight'); await sleep(700); return { done: true }; }
    async ever() { console.log('in flight'); await sleep(60_000); }
    crash() { void Promise.reject(new Error('nobody caught me')); return {}; }
  }
  for (const name of ['second', 'ever', 'crash']) {
    Get(name)(Waits.prototype, name, Object.getOwnPropertyDescriptor(Waits.prototype, name));
  }
  Public()(Waits);
  Controller()(Waits);

  class Config extends ServiceConfig { PORT = 0; MAX_EVENT_LOOP_DELAY = false; }
  class Waiting {}
  await runService({
    name: 'waiting',
    configClass: Config,
    module: (config) => {
      Module({ imports: [loggerModule(config, 'waiting')], controllers: [Waits] })(Waiting);
      return Waiting;
    },
    openApi: { title: 'Waiting', description: 'Waits.', version: '1' },
  });
`;

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function start(env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: join(import.meta.dirname, '../..'),
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: 'postgres://a:s3cret@127.0.0.1:1/a',
      KAFKA_BROKERS: '127.0.0.1:1',
      ...env,
    },
  });
  children.push(child);
  const output = { out: '', err: '' };
  child.stdout.on('data', (chunk) => void (output.out += String(chunk)));
  child.stderr.on('data', (chunk) => void (output.err += String(chunk)));
  const exited = once(child, 'close').then(([code]) => code as number | null);
  const inFlight = new Promise<void>((resolve) => {
    child.stdout.on('data', () => {
      if (output.out.includes('in flight')) resolve();
    });
  });
  const listening = new Promise<string>((resolve) => {
    child.stdout.on('data', () => {
      const url = /Listening on (http:\S+?),/.exec(output.out)?.[1];
      if (url) resolve(url);
    });
  });
  return { child, output, exited, inFlight, listening };
}

describe('runService', () => {
  it('exits at once and reports what is wrong if the configuration is invalid', async () => {
    const { exited, output } = start({ DATABASE_URL: 'mysql://a:s3cret@db/a', PORT: '80x', LOG_LEVEL: '' });

    expect(await exited).toBe(1);
    expect(output.out).toBe('');
    expect(output.err.trim().split('\n')).toEqual([
      'waiting cannot start:',
      expect.stringContaining('PORT="80x": it must be a whole number'),
      expect.stringContaining('DATABASE_URL="mysql://a:***@db/a": it must be a URL'),
    ]);
  });

  it.each([
    ['127.0.0.1', {}, /127\.0\.0\.1:\d+/],
    ['localhost', {}, /(?:127\.0\.0\.1|\[::1\]):\d+/],
    ['::1', {}, /\[::1\]:\d+/],
    ['0.0.0.0', { NODE_ENV: 'development' }, /0\.0\.0\.0:\d+/],
  ])('P10 warns at start that it trusts anyone who can reach it, at the address %s', async (HOST, env, address) => {
    const { listening, output } = start({ HOST, ...env });
    await listening;

    expect(output.out).toMatch(
      new RegExp(`AUTH_MODE=dev: anyone who can reach http://${address.source} can act as any user`),
    );
    expect(output.out).toMatch(new RegExp(`Listening on http://${address.source},`));
  });

  it('names both addresses at start if there is a management port', async () => {
    const { listening, output } = start({ MANAGEMENT_PORT: '0', DOCS: 'off' });
    await listening;

    const [, management] = /Listening on \S+, metrics and health on (http:\S+:\d+)/.exec(output.out) ?? [];
    expect((await fetch(`${management}/nowhere`)).status).toBe(404);
  });

  it('listens on one address of localhost, so that its limits apply to every connection', async () => {
    const { listening } = start({ HOST: 'localhost' });
    const { hostname, port } = new URL(await listening);

    const other = createServer().listen(Number(port), hostname === '127.0.0.1' ? '::1' : '127.0.0.1');
    const outcome = await once(other, 'listening').then(
      () => 'free',
      ({ code }: NodeJS.ErrnoException) => code,
    );
    other.close();

    // Not every machine has both addresses.
    expect(['free', 'EADDRNOTAVAIL']).toContain(outcome);
  });

  it('P10 does not start on an address that others can reach, unless NODE_ENV allows it', async () => {
    const { exited, output } = start({ HOST: '0.0.0.0', NODE_ENV: 'staging' });

    expect(await exited).toBe(1);
    expect(output.err).toContain('it must not listen on HOST="0.0.0.0" while NODE_ENV is "staging"');
  });

  it.each(['PORT', 'MANAGEMENT_PORT'])('exits with one line if %s is in use', async (variable) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };

    const { exited, output } = start({ [variable]: String(port) });

    expect(await exited).toBe(1);
    expect(output.out).not.toContain('Uncaught');
    expect(output.err.trim()).toBe(
      `waiting cannot start: port ${port} on 127.0.0.1 is in use. Stop the process that is using it, or set ${variable} to another port (0 picks a free one).`,
    );
    other.close();
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'P8 finishes the work in flight on %s, even if a second signal arrives',
    async (signal) => {
      const { child, exited, inFlight, listening, output } = start();
      const url = await listening;

      const answer = fetch(`${url}/second`, { signal: AbortSignal.timeout(5000) });
      await inFlight;
      child.kill(signal);
      child.kill('SIGTERM');

      expect(await (await answer).json()).toEqual({ done: true });
      expect(await exited).toBe(0);
      expect(output.out).toContain('GET /second 200');
    },
  );

  it('P8 does not wait for a connection without a request', async () => {
    const { child, exited, listening } = start();
    const { port } = new URL(await listening);
    const browser = connect(Number(port), '127.0.0.1');
    await once(browser, 'connect');
    // The server has answered a later connection, so it has seen this one.
    await fetch(`http://127.0.0.1:${port}/nothing`);

    child.kill('SIGTERM');

    expect(await exited).toBe(0);
    browser.destroy();
  });

  it('P8 exits within 10 s, whatever is in flight', async () => {
    const { child, exited, inFlight, listening } = start();
    const url = await listening;
    const answer = fetch(`${url}/ever`).catch(() => 'cut');
    await inFlight;

    const began = performance.now();
    child.kill('SIGTERM');

    expect(await exited).toBe(1);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(await answer).toBe('cut');
  });

  it('exits after logging an uncaught error', async () => {
    const { exited, listening, output } = start();
    await fetch(`${await listening}/crash`).catch(() => undefined);

    expect(await exited).toBe(1);
    expect(output.out).toMatch(/"level":"fatal".*nobody caught me/);
  });
});
