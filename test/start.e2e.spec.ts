import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { until } from '@twinbox/messaging/testing';
import { blocksFor, caller, type CheckoutCopy, copyCheckout, operator, shellEnvironment } from '@twinbox/test-support';
import { steadyPorts } from '@twinbox/tools';
import pg from 'pg';

/** A command running in the copy, as in its own terminal. */
interface Command {
  /** Everything it has printed so far. */
  output(): string;
  /** Sends Ctrl-C and returns the exit code. */
  interrupt(): Promise<number | null>;
  ended(): Promise<number | null>;
}

interface DemoOrder {
  readonly id: string;
  readonly description: string | null;
}

const TIMEOUT_MS = 300_000;

let copy: CheckoutCopy;
/** The ports in the documents, mapped to those of this test. */
let ports: Readonly<Record<string, number>>;
const running = new Set<ChildProcess>();

function start(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, input = ''): Command {
  const child = spawn(command, args, {
    cwd: copy.path,
    // Its own process group, which receives the signals that a terminal would send to all of it.
    detached: true,
    env: { ...shellEnvironment(), ...env },
  });
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stdin.end(input);
  // Not `exit`, because npm may end before the processes it started.
  const closed = once(child, 'close').finally(() => running.delete(child));
  return {
    output: () => output,
    async interrupt() {
      if (child.pid) process.kill(-child.pid, 'SIGINT');
      await closed;
      return child.exitCode;
    },
    async ended() {
      await closed;
      return child.exitCode;
    },
  };
}

/** Starts Twinbox with a command of the documentation, which may set variables. */
function npmStart(env: NodeJS.ProcessEnv = {}, command = 'npm start'): Command {
  return start('bash', ['-c', `exec ${command.includes('=') ? 'env ' : ''}${command}`], {
    ORDER_PORT: `${ports['8081']}`,
    PAYMENT_PORT: `${ports['8082']}`,
    ORDER_GRPC_PORT: `${ports['50051']}`,
    PAYMENT_GRPC_PORT: `${ports['50052']}`,
    POSTGRES_PORT: `${ports['15432']}`,
    KAFKA_PORT: `${ports['19092']}`,
    OIDC_PORT: `${ports['8090']}`,
    CONSOLE_PORT: `${ports['8080']}`,
    ...env,
  });
}

/** Waits until the panel is printed. */
async function isRunning(starter: Command): Promise<void> {
  const seen = await until(
    'Twinbox is running',
    () => {
      const output = starter.output();
      return /Twinbox is running|failed|Stopped/.test(output) && output;
    },
    TIMEOUT_MS,
  );
  expect(seen).toContain('Twinbox is running.');
}

/** Runs the lines as if they were pasted into a shell at once. Returns the output. */
async function pasted(text: string): Promise<string> {
  const shell = start('bash', ['-s'], {}, text);
  await shell.ended();
  return shell.output();
}

/** Replaces the ports in a command or an address with those of this test. */
const here = (text: string) => text.replaceAll(/\b(808[0-5]|5005[1-4]|15432|19092)\b/g, (port) => `${ports[port]}`);

const orders = () => `http://127.0.0.1:${ports['8081']}`;
const payments = () => `http://127.0.0.1:${ports['8082']}`;

beforeAll(async () => {
  copy = await copyCheckout({ built: true });
  const documented = [8080, 8081, 8082, 8083, 8084, 8085, 8090, 50_051, 50_052, 50_053, 50_054, 15_432, 19_092];
  // The ports are not used until minutes later.
  const free = await steadyPorts(documented.length);
  ports = Object.fromEntries(documented.map((port, n) => [port, free[n] ?? 0]));
}, TIMEOUT_MS);

afterAll(async () => {
  // Stops the processes in reverse order of their start.
  for (const child of [...running].toReversed()) {
    if (child.pid) process.kill(-child.pid, 'SIGINT');
    await once(child, 'close');
  }
  await copy.remove();
}, TIMEOUT_MS);

describe('npm start', () => {
  it(
    'names every wrong variable of the starter, the services and the console before it starts anything',
    async () => {
      const starter = npmStart({
        KAFKA_PORT: 'x',
        ORDER_EVENTS_TOPIC: 'payment.events',
        MAIL_DOMAIN: 'not a domain',
        PAYMENT_TTL: 'soon',
        SESSION_IDLE: 'never',
        NOTIFICATIONS_GROUP: 'payment-service',
      });

      expect(await starter.ended()).toBe(1);

      const lines = starter.output().split('\n');
      for (const problem of [
        /^KAFKA_PORT is "x"/,
        /^ORDER_EVENTS_TOPIC="payment.events": .*PAYMENT_EVENTS_TOPIC/,
        /^MAIL_DOMAIN="not a domain"/,
        /^PAYMENT_TTL="soon"/,
        /^SESSION_IDLE="never"/,
        /^NOTIFICATIONS_GROUP is "payment-service"/,
      ])
        expect(lines.filter((line) => problem.test(line))).toHaveLength(1);
      expect(lines.filter((line) => /Starting|Error|at .*:\d+:\d+/.test(line))).toEqual([]);
      expect(existsSync(join(copy.path, '.twinbox/data'))).toBe(false);
    },
    TIMEOUT_MS,
  );

  it(
    'compiles whatever is not built yet, and names it',
    async () => {
      const builder = start('bash', ['-c', 'rm -rf bench/dist && npm run prestart']);

      expect(await builder.ended()).toBe(0);

      expect(builder.output()).toMatch(/^Compiling …\n {2}bench …\n {2}✓ compiled/m);
    },
    TIMEOUT_MS,
  );

  it('names a port that is in use, and the variable that changes it', async () => {
    const other = createServer().listen(ports['8082'], '127.0.0.1');
    await once(other, 'listening');

    const starter = npmStart();

    expect(await starter.ended()).toBe(1);
    expect(starter.output()).toMatch(/^Port \d+ for payment-service is in use .*PAYMENT_PORT=\d+ npm start$/m);
    expect(existsSync(join(copy.path, '.twinbox/data'))).toBe(false);
    other.close();
  });

  it('asks for npm ci where nothing is installed', async () => {
    await rename(join(copy.path, 'node_modules'), join(copy.path, 'put-aside'));

    const starter = start('npm', ['start']);

    expect(await starter.ended()).toBe(1);
    expect(starter.output()).toContain('The dependencies are not installed. Run "npm ci" first');
    await rename(join(copy.path, 'put-aside'), join(copy.path, 'node_modules'));
  });

  describe('once Twinbox is running', () => {
    let starter: Command;
    /** Those that wait for their payment. */
    let demoOrders: readonly DemoOrder[];

    beforeAll(async () => {
      const [{ text } = { text: '' }] = await blocksFor('how to start', copy.read);
      const [, command] = text.trim().split('\n');
      starter = npmStart({}, command);
      await isRunning(starter);
      demoOrders = await waitingOrders();
    }, TIMEOUT_MS);

    // Not run here, because it would replace the packages that the copy shares with this checkout.
    it('is installed with the command that .ci/run runs', async () => {
      const [{ text } = { text: '' }] = await blocksFor('how to start', copy.read);
      const [install = ''] = text.split('\n');

      expect(install).toBe('npm ci');
      expect(await copy.read('.ci/run')).toContain(`\n${install}`);
    });

    it('prints what the README shows', async () => {
      const [{ text } = { text: '' }] = await blocksFor('what a start prints', copy.read);
      const withoutSpaces = (lines: string) => lines.replaceAll(/ +/g, ' ');

      // The data is elsewhere with Docker.
      const lines = here(text)
        .trim()
        .split('\n')
        .filter((line) => !line.includes('data, logs'));
      for (const line of lines) expect(withoutSpaces(starter.output())).toContain(withoutSpaces(line));
    });

    it('shows each step', () => {
      for (const step of [
        'PostgreSQL',
        'Kafka',
        'migrations',
        'topics',
        'order-service',
        'relay and consumers of order-service',
        'console',
      ])
        expect(starter.output()).toMatch(new RegExp(`^ {2}✓ ${step}.* \\(\\d+\\.\\d s\\)$[^]*Twinbox is running`, 'm'));
    });

    it('serves the pages of the console, whose demo users reach both services', async () => {
      const origin = `http://localhost:${ports['8080']}`;

      const page = await fetch(`${origin}/payments`);
      const headers = { origin, 'content-type': 'application/json' };
      const signedIn = await fetch(`${origin}/session`, { method: 'POST', headers, body: '{"userId":"ops"}' });
      const cookie = signedIn.headers.getSetCookie()[0]?.split(';')[0] ?? '';
      const paths = ['/api/orders/orders', '/api/payments/payment-requests'];
      const answers = await Promise.all(paths.map((path) => fetch(`${origin}${path}`, { headers: { cookie } })));

      expect(await page.text()).toContain('<script type="module"');
      expect(await signedIn.json()).toMatchObject({ demo: true, user: { id: 'ops' } });
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    });

    it('runs relays that publish or stand by, and consumers that have joined', async () => {
      for (const url of [orders(), payments()]) {
        const { body } = await caller(url, {}).get('/health/messaging');

        const { relay, ...components } = body.details.messaging.components;
        expect(['leader', 'standby']).toContain(relay.role);
        const inboxes = Object.entries<{ joins: number }>(components).filter(([name]) => name.startsWith('inbox '));
        expect(inboxes.length).toBeGreaterThan(0);
        for (const [, { joins }] of inboxes) expect(joins).toBeGreaterThan(0);
      }
    });

    it(
      'runs all lines of the panel, pasted at once',
      async () => {
        await runsPanel(starter.output());
      },
      TIMEOUT_MS,
    );

    it(
      'runs the commands of the README once it is started',
      async () => {
        const commands = await blocksFor('the first requests', copy.read);

        const shown = await pasted(here(commands.map(({ text }) => text).join('')));

        expect(shown).toMatch(/"status":"PLACED"[^]*"status":"PENDING"[^]*"status":"ok"/);
        expect(shown).not.toMatch(/"status":[45]\d\d|command not found|syntax error/);
      },
      TIMEOUT_MS,
    );

    it(
      'runs the tutorial, pasted at once',
      async () => {
        const commands = await blocksFor('the tutorial', copy.read);
        const tutorial = commands.map(({ text }) => text).join('');

        const shown = await pasted(here(tutorial).replace('curl -sSN', 'curl -sSN --max-time 1'));

        for (const status of ['FINISHED', 'CANCELLED', 'REFUNDED']) expect(shown).toContain(`"status":"${status}"`);
        expect(shown).not.toMatch(/command not found|syntax error/);
        // The one that the tutorial shows.
        expect(shown.match(/"status":[45]\d\d/g)).toEqual(['"status":409']);
      },
      TIMEOUT_MS,
    );

    it(
      'runs the commands of the REST API, pasted at once',
      async () => {
        const commands = await blocksFor('commands of the REST API', copy.read);

        const shown = await pasted(here(commands.map(({ text }) => text).join('')));

        for (const part of ['HTTP/1.1 304', '"status":"CANCELLED"', '"status":"REFUNDED"', 'event: ', '"type":"'])
          expect(shown).toContain(part);
        expect(shown).not.toMatch(/command not found|syntax error|curl: \((?!28\))/);
        // Those that the page describes: an outdated version, an outdated price, and no refund to report.
        expect(shown.match(/"status":[45]\d\d/g)).toEqual(['"status":412', '"status":409', '"status":404']);
      },
      TIMEOUT_MS,
    );

    it(
      'runs second replicas, started as described in the how-to',
      async () => {
        const blocks = await blocksFor('second replicas', copy.read);
        const relays = await blocksFor('a separate relay', copy.read);
        expect([blocks.length, relays.length]).toEqual([2, 1]);

        const replicas = blocks.map(({ text }) => start('bash', ['-c', here(text)]));
        for (const { text } of relays) replicas.push(start('bash', ['-c', here(text)], { PORT: `${ports['8085']}` }));

        for (const port of ['8083', '8084', '8085']) {
          const replica = caller(`http://127.0.0.1:${ports[port]}`, {});
          await until(
            `the replica on ${port} consumes`,
            async () => {
              const { body } = await replica.get('/health/messaging');
              const components = Object.entries<{ joins?: number }>(body.details.messaging.components);
              return components.every(([name, { joins }]) => !name.startsWith('inbox ') || joins);
            },
            120_000,
          );
        }
        for (const replica of replicas) await replica.interrupt();
      },
      TIMEOUT_MS,
    );

    it(
      'shows offsets as described in the how-to, and does not move those of a running consumer',
      async () => {
        const blocks = await blocksFor('moving offsets', copy.read);
        const commands = blocks.filter(({ info }) => info === 'sh').map(({ text }) => here(text));
        const queries = blocks.filter(({ info }) => info === 'sql');

        const shown = await pasted(commands.join(''));

        expect(shown.match(/^payment\.events\/\d: next offset \d+ in the database, \d+ in Kafka/gm)).toHaveLength(6);
        expect(shown).toMatch(/active members: stop the consumers first[^]*payment\.events\/0 has the offsets/);
        for (const { text } of queries) await query(`begin; ${text} rollback`);
        expect(queries).toHaveLength(1);
      },
      TIMEOUT_MS,
    );

    it(
      'serves and publishes the events as their documentation shows',
      async () => {
        const [requests, consumers] = await Promise.all([
          blocksFor('the contracts of events', copy.read),
          blocksFor('a consumer of events', copy.read),
        ]);
        expect([requests.length, consumers.length]).toEqual([1, 1]);

        const shown = await pasted(here(requests.map(({ text }) => text).join('')));
        const consumer = start('bash', ['-c', here(consumers.map(({ text }) => text).join(''))]);

        expect(shown).toMatch(/"asyncapi": "3\.1\.0"[^]*"\$id": "urn:event:OrderCancelled:1"/);
        const [{ id } = { id: '' }] = demoOrders;
        await until('the consumer prints an order', () => consumer.output().includes(`: order ${id} for `), 60_000);
        expect(consumer.output()).toMatch(/^urn:event:OrderPlaced:\d: order [\da-f-]{36} for \d+ [A-Z]{3}$/m);
        await consumer.interrupt();
      },
      TIMEOUT_MS,
    );

    it('generates a secret for webhooks as described in the how-to', async () => {
      const [{ text } = { text: '' }] = await blocksFor('a webhook secret', copy.read);

      expect(await pasted(text)).toMatch(/^whsec_[\w+/]{43}=\n$/);
    });

    describe('and started again with all variables of the how-to together', () => {
      let variables: readonly string[];
      let known: ReadonlySet<string>;
      let expired: readonly DemoOrder[];
      let firstExitCode: number | null;

      beforeAll(async () => {
        const [cancelled, ...others] = demoOrders;
        expired = others;
        await operator(orders()).post(`/orders/${cancelled?.id}/cancel`, { reason: 'Not needed any more.' });
        await expireAll();
        await until('no order waits for its payment any more', async () => (await waitingOrders()).length === 0);
        known = new Set((await listed('')).map(({ id }) => id));
        firstExitCode = await starter.interrupt();
        const blocks = await blocksFor('other ways to start', copy.read);
        variables = blocks.map(({ text }) => text.replace(/ npm start\n$/, ''));

        starter = npmStart({}, `${variables.join(' ')} npm start`);
        await isRunning(starter);
      }, TIMEOUT_MS);

      it('restores demo orders that have expired, but not those that were cancelled', async () => {
        const restored = (await listed('')).filter(({ id }) => !known.has(id));

        const descriptions = (list: readonly DemoOrder[]) =>
          list.map(({ description }) => description ?? '').toSorted();
        expect(expired.length).toBeGreaterThan(5);
        expect(descriptions(restored)).toEqual(descriptions(expired));
      });

      it(
        'settles a payment by itself',
        async () => {
          const demo = caller(orders(), { 'X-User-Id': 'demo' });
          const { body: order } = await demo.post('/orders', { items: [{ productId: 'tea-assam', quantity: 1 }] });

          await until('the order is completed or cancelled', async () => {
            const { body } = await demo.get(`/orders/${order.id}`);
            return ['COMPLETED', 'CANCELLED'].includes(body.status);
          });
          expect(variables.length).toBeGreaterThan(3);
        },
        TIMEOUT_MS,
      );

      it('ends with status 0 on Ctrl-C, each time', async () => {
        expect([firstExitCode, await starter.interrupt()]).toEqual([0, 0]);
      });
    });

    it(
      'P10 starts with an OpenID provider as described in the how-to, and runs all lines of its panel',
      async () => {
        const [{ text } = { text: '' }] = await blocksFor('a start with access tokens', copy.read);

        starter = npmStart({}, text.trim());
        await isRunning(starter);

        await runsPanel(starter.output());
        for (const url of [`${orders()}/orders`, `${payments()}/payment-requests`])
          expect((await operator(url).get('')).status).toBe(401);
        expect(starter.output()).not.toMatch(/oidc-provider (NOTICE|WARNING)/);
        expect(await starter.interrupt()).toBe(0);
      },
      TIMEOUT_MS,
    );
  });

  /** Pastes the lines of the panel and checks what they show. */
  async function runsPanel(panel: string): Promise<void> {
    const [, lines = ''] = /The life of an order, to paste\.([^]*)\nCtrl-C stops/.exec(panel) ?? [];
    const commands = lines.split('\n').filter((line) => line.startsWith('  '));

    const shown = await pasted(commands.join('\n').replace('curl -sSN', 'curl -sSN --max-time 1'));

    expect(commands.length).toBeGreaterThan(10);
    expect(shown).not.toMatch(/"status":[45]\d\d|command not found|syntax error/);
    for (const status of ['PAYMENT_PENDING', 'SUCCEEDED', 'FINISHED', 'FAILED', 'CANCELLED'])
      expect(shown).toContain(`"status":"${status}"`);
  }

  const waitingOrders = () => listed('status=PAYMENT_PENDING&');

  async function listed(filter: string): Promise<DemoOrder[]> {
    const { body } = await operator(orders()).get(`/orders?${filter}limit=100`);
    expect(body.nextCursor).toBeNull();
    return (body.items as DemoOrder[]).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Expires all pending payments, including that of an order that was cancelled a moment ago. */
  async function expireAll(): Promise<void> {
    await query(`update payments.payment_requests set expires_at = now() where status = 'PENDING'`);
  }

  async function query(text: string): Promise<void> {
    const client = new pg.Client(`postgres://postgres:postgres@127.0.0.1:${ports['15432']}/twinbox`);
    await client.connect();
    await client.query(text);
    await client.end();
  }
});
