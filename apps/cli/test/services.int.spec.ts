import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createOrdersClient } from '@twinbox/client/orders';
import { type TestDatabase, until } from '@twinbox/messaging/testing';
import {
  blocksFor,
  createServiceDatabase,
  createServiceTopics,
  type ServiceProcess,
  type ServiceTopics,
  startService,
  stopServices,
} from '@twinbox/test-support';
import { QUOTAS_FOR_LOAD, root } from '@twinbox/tools';
import { type Circumstances, type Ran, runCommand } from './command-line.js';

const NOBODY = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';
const NOWHERE = 'http://127.0.0.1:9';

let database: TestDatabase;
let topics: ServiceTopics;
let orders: ServiceProcess;
let payments: ServiceProcess;
let folder: string;
let lastOffset = 1000;

beforeAll(async () => {
  [database, topics, folder] = await Promise.all([
    createServiceDatabase(),
    createServiceTopics(),
    mkdtemp(join(tmpdir(), 'twinbox-cli-')),
  ]);
  [orders, payments] = await Promise.all([
    startOne('order-service', 'orders'),
    startOne('payment-service', 'payments'),
  ]);
  await anOrder();
  await until(
    'its message can be replayed',
    async () => (await as('admin')('replay', '--service', 'orders', '--all', '--dry-run')).exitCode === 0,
  );
});

afterAll(async () => {
  await stopServices();
  await database.drop();
  await rm(folder, { recursive: true });
});

const startOne = (name: 'order-service' | 'payment-service', schema: 'orders' | 'payments') =>
  startService(name, {
    ...topics.env(name),
    DATABASE_URL: database.urlFor(schema, schema),
    ...(schema === 'orders' && QUOTAS_FOR_LOAD),
  });

type Role = 'customer' | 'operator' | 'admin';

const environment = (roles: Role): Record<string, string> => ({
  TWINBOX_USER: 'ann',
  TWINBOX_ROLES: roles,
  TWINBOX_ORDERS_URL: orders.url,
  TWINBOX_PAYMENTS_URL: payments.url,
});

/** Runs a command with a role, as a script does. */
const as =
  (role: Role, circumstances: Circumstances = {}) =>
  (...args: string[]): Promise<Ran> =>
    runCommand(args, { ...circumstances, env: { ...environment(role), ...circumstances.env } });

/** Runs a command that must succeed, and returns its JSON. */
async function json<T = Record<string, unknown>>(role: Role, ...args: string[]): Promise<T> {
  const { exitCode, stdout, stderr } = await as(role)(...args, '--json');
  expect([stderr, exitCode]).toEqual(['', 0]);
  return JSON.parse(stdout) as T;
}

const consumer = () => topics.env('payment-service')['CONSUMER_GROUP']!;

/** Inserts a dead letter of payment-service that cannot be handled, and returns its reference. */
async function aDeadLetter({
  type = 'OrderPlaced',
  error = 'The currency of order 17 is missing',
  value = '{"orderId":"x"}',
} = {}): Promise<string> {
  const offset = lastOffset++;
  const headers = { ce_specversion: '1.0', ce_id: `message-${offset}`, ce_type: type, ce_source: '/orders' };
  const [row] = await database.sql<{ id: string }>(
    `insert into payments.inbox_parked (consumer, topic, partition, "offset", recorded_at, source, message_id, type, key, headers, value,
       holds_key, attempts, error, dead_at)
     values ($1, $2, 0, $3, now(), '/orders', $4::text, $5, convert_to($4::text, 'UTF8'), $6, $8, true, 5, $7, now() - interval '1 minute')
     returning id::text as id`,
    [consumer(), topics.orderEvents, offset, `message-${offset}`, type, JSON.stringify(headers), error, value],
  );
  return `payments/inbox/${row!.id}`;
}

async function aDeadJob(): Promise<string> {
  const [row] = await database.sql<{ id: string }>(
    `insert into payments.jobs (id, queue, data, run_at, attempts, error, dead_at)
     values (uuidv7(), 'charge', '{"paymentRequestId":"${NOBODY}"}', now(), 5, 'The gateway is away', now()) returning id`,
  );
  return `payments/${row!.id}`;
}

async function anOrder(): Promise<string> {
  const customer = createOrdersClient({ baseUrl: orders.url, devUser: { id: 'ada', roles: ['customer'] } });
  const { id } = await customer.createOrder({ items: [{ productId: 'tea', quantity: 1 }] });
  return id;
}

/** Makes the payment of an order one that must go back, and returns its id. */
async function aPendingRefund(orderId: string): Promise<string> {
  const [request] = await until('the payment is requested', async () => {
    const rows = await database.sql<{ id: string }>(
      `update payments.payment_requests set status = 'REFUND_PENDING' where order_id = $1 returning id`,
      [orderId],
    );
    return rows.length > 0 && rows;
  });
  return request!.id;
}

/** Returns everything that a command could have changed. */
async function stateOfMessaging(): Promise<unknown> {
  return database.sql(`
    select (select json_agg(p order by id) from payments.inbox_parked p) as parked,
           (select json_agg(j order by id) from payments.jobs j) as jobs,
           (select count(*) from payments.messaging_audit where outcome = 'done') +
           (select count(*) from orders.messaging_audit where outcome = 'done') as audited,
           (select count(*) from payments.messaging_operations) + (select count(*) from orders.messaging_operations) as operations,
           (select count(*) from payments.messaging_pauses) + (select count(*) from orders.messaging_pauses) as pauses`);
}

/** A command for each kind of change, on items that exist. */
async function changes(): Promise<string[][]> {
  const [letter, job] = await Promise.all([aDeadLetter(), aDeadJob()]);
  const file = join(folder, 'new.json');
  await writeFile(file, '{"orderId":"y"}');
  const why = ['--reason', 'A test.'];
  return [
    ['dead-letters', 'retry', letter],
    ['dead-letters', 'discard', letter, '--yes', ...why],
    ['dead-letters', 'edit', letter, '--file', file, ...why],
    ['dead-letters', 'retry', '--service', 'payments', '--box', 'inbox', '--type', 'OrderPlaced'],
    ['dead-letters', 'discard', '--service', 'payments', '--box', 'inbox', '--all', '--yes', ...why],
    ['jobs', 'retry', job],
    ['jobs', 'discard', job, '--yes', ...why],
    ['jobs', 'edit', job, '--file', file, ...why],
    ['jobs', 'retry', '--service', 'payments', '--queue', 'charge'],
    ['jobs', 'discard', '--service', 'payments', '--all', '--yes', ...why],
    ['consumers', 'pause', `payments/${consumer()}`],
    ['consumers', 'resume', `payments/${consumer()}`],
    ['queues', 'pause', 'payments/charge'],
    ['relay', 'pause', 'orders'],
    ['replay', '--service', 'orders', '--all', '--yes'],
  ];
}

describe('a look', () => {
  it('at the status shows both services to an operator', async () => {
    const { exitCode, stdout, stderr } = await as('operator')('status');

    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^orders$[^]*publishing[^]*^payments$/m);
    expect(stdout).toContain(consumer());
  });

  it('at the status shows the service that answers, and ends with 1 because of the other', async () => {
    const env = { TWINBOX_PAYMENTS_URL: NOWHERE };
    const { exitCode, stdout, stderr } = await as('operator', { env })('status', '--timeout', '2');

    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^orders$[^]*publishing[^]*^payments$[^]*cannot be reached/m);
    expect(stderr).toContain(`The answer of payments is missing. ${NOWHERE} cannot be reached`);
  });

  it('shows what one service answers, and ends with 1 because of the other', async () => {
    const env = { TWINBOX_ORDERS_URL: NOWHERE };
    const reference = await aDeadLetter({ type: 'OrderExpired', error: 'It is away' });
    await json('admin', 'queues', 'pause', 'payments/charge');
    await json('admin', 'queues', 'resume', 'payments/charge');
    for (const [args, found] of [
      [['dead-letters', 'list', '--type', 'OrderExpired'], 'It is away'],
      [['dead-letters', 'causes', '--type', 'OrderExpired'], 'It is away'],
      [['jobs', 'list'], 'items'],
      [['incidents', 'list'], 'items'],
      [['audit'], 'resume'],
      [['order', 'trace', NOBODY], NOBODY],
    ] as const) {
      const { exitCode, stdout, stderr } = await as('operator', { env })(...args, '--timeout', '2', '--json');
      const { errors } = JSON.parse(stdout) as { errors: unknown };

      expect([args, exitCode, stdout]).toEqual([args, 1, expect.stringContaining(found)]);
      expect(errors).toMatchObject([{ service: 'orders', type: 'urn:twinbox:cli:unreachable' }]);
      expect(JSON.parse(stderr)).toMatchObject({ type: 'urn:twinbox:cli:unreachable' });
    }

    const text = await as('operator', { env })('dead-letters', 'list', '--type', 'OrderExpired', '--timeout', '2');

    expect([text.exitCode, text.stdout]).toEqual([1, expect.stringContaining(reference)]);
    expect(text.stderr).toContain('The answer of orders is missing.');
  });

  it('at dead letters lists, groups and shows them', async () => {
    const reference = await aDeadLetter({ type: 'OrderCancelled', error: 'It failed with code 17' });

    const list = await as('operator')('dead-letters', 'list', '--type', 'OrderCancelled');
    const { items } = await json<{ items: object[] }>('operator', 'dead-letters', 'causes', '--type', 'OrderCancelled');
    const shown = await as('operator')('dead-letters', 'show', reference);

    expect(list.stdout).toContain(reference);
    expect(items).toMatchObject([{ service: 'payments', count: 1, types: ['OrderCancelled'] }]);
    expect(shown.stdout).toMatch(/It failed with code 17[^]*"orderId": "x"/);
  });

  it('lists both services as one, by time, and says if there are more', async () => {
    for (const service of ['orders', 'payments', 'orders', 'payments']) {
      await json('admin', 'relay', 'pause', service);
      await json('admin', 'relay', 'resume', service);
    }

    const list = await json<{ items: { service: string; at: string }[]; hasMore: boolean }>(
      'operator',
      'audit',
      '--limit',
      '7',
    );
    const text = await as('operator')('audit', '--limit', '7');

    const services = ['payments', 'payments', 'orders', 'orders', 'payments', 'payments', 'orders'];
    expect(list.items.map(({ service }) => service)).toEqual(services);
    expect(list.items.map(({ at }) => at)).toEqual(
      list.items
        .map(({ at }) => at)
        .toSorted()
        .toReversed(),
    );
    expect(list.hasMore).toBe(true);
    expect(text.stderr).toContain('There are more.');
  });

  it('at dead jobs lists, groups and shows them', async () => {
    const reference = await aDeadJob();

    const list = await as('operator')('jobs', 'list', '--queue', 'charge');
    const causes = await as('operator')('jobs', 'causes');
    const shown = await as('operator')('jobs', 'show', reference);

    expect(list.stdout).toContain(reference);
    expect(causes.stdout).toContain('The gateway is away');
    expect(shown.stdout).toContain(NOBODY);
  });

  it('at causes prints each whole at a narrow terminal, as an option for a shell that retries those', async () => {
    const error = `It's \\ "failed":\n  twice  and ${'again and '.repeat(20)}\u009B\u202Eagain`;
    await aDeadLetter({ type: 'OrderShortened', error });
    const terminal = { typed: '', columns: 80 };

    const { stdout } = await as('operator', terminal)('dead-letters', 'causes', '--type', 'OrderShortened');
    const [, option = ''] = /^  --cause (.*)$/m.exec(stdout) ?? [];
    const shell = await promisify(execFile)('bash', ['-c', `printf %s ${option}`]);
    const { items } = await json<{ items: { cause: string }[] }>(
      'operator',
      'dead-letters',
      'list',
      '--cause',
      shell.stdout,
    );
    const causes = await json<{ items: { cause: string }[] }>(
      'operator',
      'dead-letters',
      'causes',
      '--type',
      'OrderShortened',
    );

    expect(causes.items).toMatchObject([{ cause: shell.stdout }]);
    expect(items).toMatchObject([{ type: 'OrderShortened', error }]);
    expect(option).toMatch(/^\$'[\x20-\x7E…]+'$/);
  });

  it('at causes says if these are not all', async () => {
    const words = Array.from(
      { length: 101 },
      (_, n) => `${'ab'[n % 2]}${'cdefghij'[n >> 4]}${'klmnopqr'[(n >> 1) & 7]}`,
    );
    await database.sql(
      `insert into payments.jobs (id, queue, data, run_at, attempts, error, dead_at)
       select uuidv7(), 'many', '{}', now(), 5, 'It failed with ' || word, now() from unnest($1::text[]) as word`,
      [words],
    );

    const all = await as('operator')('jobs', 'causes', '--queue', 'many');
    const listed = await json<{ items: object[]; complete: boolean }>('operator', 'jobs', 'causes', '--queue', 'many');
    const one = await as('operator')('jobs', 'causes', '--queue', 'many', '--cause', `It failed with ${words[0]}`);
    // Otherwise other lists would not be complete either.
    await database.sql(`delete from payments.jobs where queue = 'many'`);

    expect([all.exitCode, all.stderr]).toEqual([0, expect.stringContaining('These are not all causes')]);
    expect(listed).toMatchObject({ complete: false });
    expect(listed.items).toHaveLength(100);
    expect([one.exitCode, one.stderr]).toEqual([0, '']);
  });

  it('at the status shows why messages wait, and ends with 1 if something is failing and it is asked to check that', async () => {
    const reference = await aDeadLetter({ error: 'Error: the provider is away' });
    await database.sql(
      `update payments.inbox_parked
          set dead_at = null, parked_at = now() - interval '1 hour', next_attempt_at = now() + interval '1 hour' where id = $1`,
      [reference.split('/').at(-1)],
    );
    const waiting = await until('the status shows it', async () => {
      const ran = await as('operator')('status', '--check');
      return ran.stdout.includes('the provider is away') && ran;
    });
    await database.sql('delete from payments.inbox_parked where dead_at is null');
    await database.sql(
      `insert into orders.messaging_incidents (kind, subject, problem, detail) values ('messages-missed', 'tested', 'Lost.', '{}')`,
    );
    const failing = await until('the status shows the incident', async () => {
      const ran = await as('operator')('status', '--check', '--service', 'orders');
      return ran.stdout.includes('messages-missed') && ran;
    });
    const looked = await as('operator')('status');
    await database.sql('delete from orders.messaging_incidents');

    expect(waiting.stdout).toMatch(
      /attention: inbox .* wait because attempts fail\. The latest error: Error: the provider/,
    );
    expect([waiting.exitCode, failing.exitCode, looked.exitCode]).toEqual([0, 1, 0]);
  });

  it.each([
    ['dead-letters', 'show', 'payments/inbox/999999'],
    ['jobs', 'show', `payments/${NOBODY}`],
    ['parked', 'show', 'orders/outbox/999999'],
    ['operations', 'show', `orders/${NOBODY}`],
    ['order', 'trace', NOBODY],
  ])('at what does not exist ends with 1: %s %s %s', async (...args) => {
    const { exitCode, stdout, stderr } = await as('operator')(...args, '--json');

    expect([exitCode, stdout]).toEqual([1, '']);
    expect(JSON.parse(stderr)).toMatchObject({ status: 404, type: expect.stringContaining('urn:twinbox:problem:') });
  });

  it.each([
    ['status'],
    ['dead-letters', 'list'],
    ['dead-letters', 'causes'],
    ['parked', 'list'],
    ['jobs', 'list'],
    ['operations', 'list'],
    ['incidents', 'list'],
    ['audit'],
  ])('P10 is refused to customers: %s %s', async (...args) => {
    const { exitCode, stderr, stdout } = await as('customer')(...args.filter(Boolean));

    expect(exitCode).toBe(1);
    expect(stderr + stdout).toMatch(/has refused the command[^]*Operators may look/);
  });
});

describe('a change', () => {
  it('P10 is refused to operators, and changes nothing', async () => {
    const commands = await changes();
    const before = await stateOfMessaging();

    for (const command of commands) {
      const { exitCode, stderr } = await as('operator')(...command);

      expect([command, exitCode]).toEqual([command, 1]);
      expect(stderr).toContain('only admins may change');
    }

    expect(await stateOfMessaging()).toEqual(before);
    const { items } = await json<{ items: object[] }>('operator', 'audit', '--outcome', 'refused');
    expect(items).toContainEqual(expect.objectContaining({ actor: 'ann', outcome: 'refused' }));
  });

  it('is only shown by a dry run', async () => {
    const commands = await changes();
    const before = await stateOfMessaging();

    for (const command of commands) {
      const { exitCode, stdout, stderr } = await as('admin')(...command, '--dry-run');

      expect([command, stderr, exitCode]).toEqual([command, '', 0]);
      expect(stdout).toMatch(/Nothing was changed|already/);
    }

    expect(await stateOfMessaging()).toEqual(before);
  });

  it('of what does not exist ends with 1', async () => {
    for (const args of [
      ['dead-letters', 'retry', 'payments/inbox/999999'],
      ['jobs', 'retry', `payments/${NOBODY}`],
      ['consumers', 'pause', 'payments/nobody'],
      ['operations', 'cancel', `orders/${NOBODY}`, '--yes'],
      ['incidents', 'acknowledge', 'orders/999999', '--reason', 'A test.'],
    ]) {
      const { exitCode, stderr } = await as('admin')(...args);

      expect([args, exitCode]).toEqual([args, 1]);
      expect(stderr).toContain('has refused the command');
    }
  });

  it('discards a dead letter once it is confirmed, with its reason in the audit', async () => {
    const reference = await aDeadLetter();
    const args = ['dead-letters', 'discard', reference, '--reason', 'An experiment.'];

    const refused = await as('admin')(...args);
    const done = await as('admin', { typed: 'y\n' })(...args);
    const again = await as('admin')(...args, '--yes');

    expect([refused.exitCode, done.exitCode, again.exitCode]).toEqual([2, 0, 1]);
    const { items } = await json<{ items: object[] }>('operator', 'audit', '--service', 'payments', '--limit', '5');
    expect(items).toContainEqual(
      expect.objectContaining({ actor: 'ann', action: 'discard', reason: 'An experiment.' }),
    );
  });

  it('retries many as an operation, and waits for its end', async () => {
    await Promise.all(Array.from({ length: 3 }, () => aDeadLetter({ type: 'OrderCancelled' })));
    const filter = ['--service', 'payments', '--box', 'inbox', '--type', 'OrderCancelled'];

    const operation = await json('admin', 'dead-letters', 'retry', ...filter, '--reason', 'Fixed.');
    const reference = `payments/${String(operation['id'])}`;
    const shown = await as('operator')('operations', 'show', reference);
    const tooLate = await as('admin')('operations', 'cancel', reference, '--dry-run');

    expect(operation).toMatchObject({ service: 'payments', kind: 'retry-letters', state: 'done', reason: 'Fixed.' });
    expect(operation['done']).toBeGreaterThanOrEqual(3);
    expect(shown.stdout).toMatch(/state\s+done/);
    expect([tooLate.exitCode, tooLate.stderr]).toEqual([
      1,
      expect.stringContaining('is done, so it cannot be cancelled'),
    ]);
  });

  it('continues if the command line is interrupted, until it is cancelled', async () => {
    await Promise.all(Array.from({ length: 5 }, () => aDeadLetter({ type: 'OrderFinished' })));
    const interrupted = new AbortController();
    const following = as('admin', { signal: interrupted.signal })(
      'dead-letters',
      'retry',
      '--service',
      'payments',
      '--box',
      'inbox',
      '--type',
      'OrderFinished',
      '--rate',
      '1',
    );
    const id = await until('it runs', async () => {
      const { items } = await json<{ items: { id: string }[] }>('operator', 'operations', 'list', '--state', 'running');
      return items[0]?.id;
    });

    interrupted.abort(new Error('Interrupted.'));
    const { exitCode, stderr } = await following;
    const looked = await as('admin')('operations', 'cancel', `payments/${id}`, '--dry-run');
    const cancelled = await json('admin', 'operations', 'cancel', `payments/${id}`, '--yes', '--reason', 'Enough.');

    expect(exitCode).toBe(130);
    expect(stderr).toContain(`operations show --watch payments/${id}`);
    expect([looked.exitCode, looked.stderr]).toEqual([0, expect.stringContaining('Nothing was changed.')]);
    expect(cancelled).toMatchObject({ state: 'cancelled', cancelledBy: 'ann' });
  });

  it('says so if nothing matches, and creates no operation', async () => {
    const operations = () => database.sql('select count(*) from orders.messaging_operations');
    const before = await operations();

    const { exitCode, stdout } = await as('admin')('jobs', 'retry', '--service', 'orders', '--queue', 'none');

    expect([exitCode, stdout]).toEqual([0, 'There is no dead job that matches.\n']);
    expect(await operations()).toEqual(before);
  });

  it('pauses and resumes a job queue, a consumer and the relay, as the status shows', async () => {
    for (const [group, reference, name] of [
      ['queues', 'payments/charge', 'queue charge'],
      ['consumers', `payments/${consumer()}`, `inbox ${consumer()}`],
      ['relay', 'payments', 'relay'],
    ] as const) {
      await json('admin', group, 'pause', reference, '--reason', 'A test.');
      const paused = await until('the pause is shown', async () => {
        const { stdout } = await as('operator')('status', '--service', 'payments');
        return stdout.includes(`paused: ${name}`) && stdout;
      });
      await json('admin', group, 'resume', reference);

      expect(paused).toContain('paused');
    }
  });

  it('edits a dead letter: invalid content is refused, and the standard input is read', async () => {
    const reference = await aDeadLetter();
    const edit = ['dead-letters', 'edit', reference, '--file', '-', '--reason', 'Corrected.'];

    const noJson = await as('admin', { stdin: 'nonsense' })(...edit);
    const invalid = await as('admin', { stdin: '{"orderId":"y"}' })(...edit);
    const same = await as('admin', { stdin: '{\n  "orderId": "x"\n}' })(...edit);

    expect([noJson.exitCode, invalid.exitCode, same.exitCode]).toEqual([1, 1, 0]);
    expect(noJson.stderr).toContain('is not JSON');
    expect(invalid.stderr).toContain('has refused the command');
    expect(same.stdout).toContain('The content is the same');
  });

  it('opens the content of a dead letter in an editor, and shows what was changed there', async () => {
    const reference = await aDeadLetter();
    const env = { EDITOR: `sed -i 's/"x"/"z"/'` };

    const edited = await as('admin', { typed: '', env })('dead-letters', 'edit', reference, '--dry-run');
    const failed = await as('admin', { typed: '', env: { EDITOR: 'false' } })(
      'dead-letters',
      'edit',
      reference,
      '--dry-run',
    );
    const huge = await aDeadLetter({ value: '{"orderId":"x","n":12345678901234567891}' });
    const exact = await as('admin', { typed: '', env })('dead-letters', 'edit', huge, '--dry-run');
    const nobody = await as('admin', { env })('dead-letters', 'edit', reference, '--dry-run');

    expect(edited.stdout).toBe(
      '-  "orderId": "x"\n+  "orderId": "z"\nNothing was changed. The service has not checked this content yet.\n',
    );
    expect([edited.exitCode, failed.exitCode, nobody.exitCode]).toEqual([0, 1, 2]);
    expect(exact.stdout).toContain(
      '-{"orderId":"x","n":12345678901234567891}\n+{"orderId":"z","n":12345678901234567891}\n',
    );
    expect(failed.stderr).toContain('The editor ended with 1');
  });
});

describe('a trace of an order', () => {
  interface Step {
    readonly service: string;
    readonly place: string;
    readonly what: string;
    readonly detail: string;
    readonly mark?: string;
  }

  it('has both timelines and the messages between the services on one axis', async () => {
    const order = await anOrder();

    // The trace reads one service after the other, so a step of the first may be missing that the second has already caused.
    const steps = await until('the payment is requested', async () => {
      const { steps } = await json<{ steps: Step[] }>('operator', 'order', 'trace', order);
      const has = (text: string) => steps.some(({ what }) => what.includes(text));
      return has('PaymentRequested processed') && has('PAYMENT_PENDING') && steps;
    });
    // The relay records what it has published once a second.
    const { stdout } = await until('the messages count as published', async () => {
      const ran = await as('operator', { typed: '', columns: 160 })('order', 'trace', order);
      return ran.stdout.includes('Nothing is parked, dead or unpublished.') && ran;
    });

    const places = steps.map(({ service, place, what }) => `${service} ${place} ${what}`);
    expect(places).toEqual(
      expect.arrayContaining([
        'orders outbox OrderPlaced',
        `payments ${consumer()} OrderPlaced processed`,
        'payments outbox PaymentRequested',
        expect.stringMatching(/^orders order .* → PAYMENT_PENDING$/),
        expect.stringMatching(/^payments payment .* → PENDING$/),
      ]),
    );
    expect(stdout).toMatch(/\+\d+ ms/);
  });

  it('has no message as processed that is parked, dead or discarded', async () => {
    const order = await anOrder();
    const notifications = topics.env('order-service')['NOTIFICATIONS_GROUP']!;
    const trace = async () => (await json<{ steps: Step[] }>('operator', 'order', 'trace', order)).steps;
    const whatOf = (steps: Step[], place: string) =>
      steps
        .filter((step) => step.place === place && step.what.startsWith('OrderPlaced'))
        .map(({ what, mark }) => ({ what, mark }));
    await until('payment-service has processed it', async () => whatOf(await trace(), consumer()).length > 0);
    // As if the attempts of both had failed: parking a message records it as well.
    await database.sql(
      `insert into orders.inbox (consumer, message_id, source) select $1, message_id, source from payments.inbox i
        where i.message_id in (select id::text from orders.outbox where aggregateid = $2 and type = 'OrderPlaced')`,
      [notifications, order],
    );
    const recorded = await trace();
    for (const [schema, group] of [
      ['orders', notifications],
      ['payments', consumer()],
    ] as const)
      await database.sql(
        `insert into ${schema}.inbox_parked (consumer, topic, partition, "offset", recorded_at, source, message_id, type, key, headers, value,
           holds_key, attempts, error, dead_at)
         select $1, $2, 0, $3, now(), '/orders', id::text, type, convert_to(aggregateid, 'UTF8'), '{}', '{}', true, 5, 'never', now()
           from orders.outbox where aggregateid = $4 and type = 'OrderPlaced'`,
        [group, topics.orderEvents, lastOffset++, order],
      );

    const dead = await trace();
    const references = dead.flatMap(({ detail }) => /dead letter (\S+)/.exec(detail)?.[1] ?? []);
    for (const reference of references)
      await json('admin', 'dead-letters', 'discard', reference, '--yes', '--reason', 'A test.');
    const discarded = await trace();

    for (const place of [consumer(), notifications]) {
      expect(whatOf(recorded, place)).toEqual([{ what: 'OrderPlaced processed' }]);
      expect(whatOf(dead, place)).toEqual([{ what: 'OrderPlaced', mark: 'dead' }]);
      expect(whatOf(discarded, place)).toEqual([{ what: 'OrderPlaced discarded' }]);
    }
  });

  it('marks a message that is not published yet', async () => {
    await json('admin', 'relay', 'pause', 'orders');
    const { stdout } = await until('the message stays in the outbox', async () => {
      const ran = await as('operator')('order', 'trace', await anOrder());
      return ran.stdout.includes('UNPUBLISHED') && ran;
    });
    await json('admin', 'relay', 'resume', 'orders');

    expect(stdout).toContain('need attention');
  });
});

it('services that do not answer are reported as one problem document, with each of them', async () => {
  const env = { TWINBOX_ORDERS_URL: NOWHERE, TWINBOX_PAYMENTS_URL: 'http://127.0.0.1:10' };
  const { exitCode, stdout, stderr } = await as('operator', { env })('audit', '--json', '--timeout', '1');

  expect([exitCode, stdout]).toEqual([1, '']);
  expect(JSON.parse(stderr)).toMatchObject({
    type: 'urn:twinbox:cli:failed',
    errors: [
      { service: 'orders', type: 'urn:twinbox:cli:unreachable' },
      { service: 'payments', type: 'urn:twinbox:cli:unreachable' },
    ],
  });
});

it('the program prints nothing but JSON with --json', async () => {
  const env = { ...process.env, ...environment('operator') };
  const { stdout } = await promisify(execFile)(join(root, 'apps/cli/bin/twinbox.js'), ['status', '--json'], { env });

  expect(JSON.parse(stdout)).toMatchObject({ services: [{ service: 'orders' }, { service: 'payments' }] });
});

it('every command of docs/command-line.md succeeds', async () => {
  const order = await anOrder();
  const refund = await aPendingRefund(order);
  const file = join(folder, 'corrected.json');
  const items = [{ productId: 'tea', name: 'Tea', quantity: 2, unitPrice: 450 }];
  const corrected = { orderId: NOBODY, customerId: 'ada', total: 900, currency: 'EUR', items };
  const value = JSON.stringify(corrected);
  await writeFile(file, value);
  // Dead letters of other tests fail again, which stops a canary.
  await database.sql('delete from payments.inbox_parked');
  const references = await Promise.all([1, 2, 3, 4].map(() => aDeadLetter({ value })));
  const blocks = await blocksFor('commands of operators');
  const lines = blocks.flatMap(({ text }) => text.trim().split('\n'));
  const commands = lines.filter((line) => !/^(export|source) /.test(line));

  for (const line of commands) {
    const [, words = ''] = /^(?:npm run (?:--silent )?twinbox --|npx twinbox) (.*)$/.exec(line) ?? [];
    const args = [...words.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) =>
      (quoted ?? word)
        .replace('$ORDER', order)
        .replace('$REFUND', refund)
        .replace('corrected.json', file)
        .replace('payments/payment-service', `payments/${consumer()}`)
        .replace(/payments\/inbox\/(\d)$/, (_, n) => references[Number(n) - 1]!),
    );
    const { exitCode, stderr } = await as('admin')(...args);

    expect([line, stderr, exitCode]).toEqual([line, '', 0]);
  }
  expect(commands.length).toBeGreaterThan(15);
});
