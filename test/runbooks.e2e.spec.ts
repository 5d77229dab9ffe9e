import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { until } from '@twinbox/messaging/testing';
import { blocksFor, cutOff } from '@twinbox/test-support';
import { runsPrometheusProgram } from '@twinbox/tools';
import { v7 as uuidv7 } from 'uuid';
import { Page } from './runbooks/page.js';
import { type RunningSystem, startSystem } from './runbooks/system.js';
import { pageOf, rulesOf } from './support/prometheus.js';

const following = runsPrometheusProgram('promtool') ? describe : describe.skip;

/** Returns the references at the beginning of the lines of a list that contain the text. */
const referencesOf = (list: string, text: string, service = '') =>
  list
    .split('\n')
    .flatMap((line) => (line.startsWith(service) && line.includes(text) ? [line.split(' ')[0] ?? ''] : []));

const referenceOf = (list: string, text: string) => referencesOf(list, text)[0] ?? '';

/** Waits for a condition that starts programs to evaluate it, which is worth a second of patience. */
const eventually = <T>(what: string, condition: () => T | Promise<T>, timeoutMs?: number) =>
  until(what, async () => (await condition()) || setTimeout(1000, undefined), timeoutMs);

/** Alerts are evaluated as if the state that a test has caused had lasted, so no test waits for minutes. */
following('a runbook, followed on a running system with its fault', () => {
  let system: RunningSystem;
  const pages = new Map<string, Page>();

  beforeAll(async () => {
    system = await startSystem();
    for (const { alert = '' } of await rulesOf('alerts.yml'))
      pages.set(alert, await Page.open(pageOf(alert), system.shell));
  });
  afterAll(() => system.stop());

  const runbook = (alert: string): Page => {
    const page = pages.get(alert);
    if (!page) throw new Error(`there is no alert ${alert}`);
    return page;
  };
  type How = Parameters<RunningSystem['alerts']['firing']>;
  const fires = (alert: string, ...how: How) =>
    eventually(`${alert} fires`, async () => (await system.alerts.firing(...how)).includes(alert));
  const isSilent = (alert: string, ...how: How) =>
    eventually(`${alert} is silent`, async () => !(await system.alerts.firing(...how)).includes(alert));

  it('RelayWithoutLeader: a relay is started for a service that has none', async () => {
    const page = runbook('RelayWithoutLeader');
    await fires('RelayWithoutLeader');

    expect(await page.run('See it', 'status')).toContain('no process publishes');
    const url = await page.start('Repair it', 'npm run relay', system.environmentOf('order-service'));
    system.targets.push({ job: 'order-service', url });
    system.deployment.has('relay');

    await isSilent('RelayWithoutLeader');
    expect(await page.run('Verify it', 'status')).not.toContain('no process publishes');
  });

  it('OutboxNotPublished: a missing topic is created', async () => {
    const page = runbook('OutboxNotPublished');
    await system.deployment.complete('relay');
    const order = await system.shop.place();
    await system.faults.ageOutbox('orders');
    await fires('OutboxNotPublished');

    expect(await page.run('See it', 'status')).toContain('This server does not host this topic-partition');
    await page.run('Repair it', 'npm run topics', system.environmentOf('order-service'));
    system.deployment.has('topics');

    await system.shop.isPending(order);
    await isSilent('OutboxNotPublished');
    expect(await page.run('Verify it', 'status')).not.toMatch(/unpublished +[1-9]/);
  });

  describe('once relay and topics exist', () => {
    beforeAll(() => system.deployment.complete('relay', 'topics'));

    it('PausedForLong: what was paused is resumed', async () => {
      const page = runbook('PausedForLong');
      const days = { minutes: 360, everyMinutes: 10 };
      for (const paused of [
        'relay pause orders',
        'consumers pause payments/payment-service',
        'queues pause payments/charge',
      ])
        await system.shell.run(`npm run twinbox -- ${paused} --reason 'maintenance'\n`);
      const order = await system.shop.place();
      await fires('PausedForLong', undefined, days);

      expect((await page.run('See it', 'status')).match(/paused: .*Paused by olga: maintenance/g)).toHaveLength(3);
      expect(await page.run('See it', 'audit')).toMatch(/olga.*maintenance/);
      await page.run('Repair it', 'relay resume', { SERVICE: 'orders' });
      await page.run('Repair it', 'consumers resume', { CONSUMER: 'payments/payment-service' });
      await page.run('Repair it', 'queues resume', { QUEUE: 'payments/charge' });

      await system.shop.isPending(order);
      await isSilent('PausedForLong', undefined, days);
      expect(await page.run('Verify it', 'status')).not.toContain('paused');
    });

    it('LateOrders: the forgotten pause of a consumer is found and ended', async () => {
      const page = runbook('LateOrders');
      await system.shell.run(`npm run twinbox -- consumers pause payments/payment-service --reason 'maintenance'\n`);
      const order = await system.shop.place();
      await fires('LateOrders');

      expect(await page.run('See it', 'order late')).toMatch(new RegExp(`${order}[^]*paused`));
      expect(await page.run('See it', 'order trace', { ORDER: order })).toMatch(/outbox +OrderPlaced/);
      await page.run('Repair it', 'consumers resume');

      await system.shop.isPending(order);
      await isSilent('LateOrders');
      expect(await page.run('Verify it', 'order late')).not.toContain(order);
    });

    it('DeadLetters: what failed is retried, a wrong message edited, and one that nobody needs discarded', async () => {
      const page = runbook('DeadLetters');
      const repair = await system.faults.broken('payments.payment_requests', 'insert');
      const failed = await Promise.all([system.shop.place(), system.shop.place(), system.shop.place()]);
      const unknown = uuidv7();
      const items = [{ productId: 'tea', name: 'Tea', quantity: 1, unitPrice: 450 }];
      const data = { orderId: unknown, customerId: 'ada', total: '450', currency: 'EUR', items };
      await system.faults.publish('OrderPlaced', data, { key: unknown });
      await fires('DeadLetters');

      const shown = await eventually('all four are dead', async () => {
        const text = await page.run('See it', 'dead-letters causes');
        return text.match(/^payments\/inbox\//gm)?.length === 4 && text;
      });
      expect(shown).toMatch(/payments +3 .*OrderPlaced\n +--cause 'the ledger is broken'/);
      await repair();
      const choice = { SERVICE: 'payments', CAUSE: 'the ledger is broken' };
      expect(await page.run('Repair it', 'dead-letters retry', choice)).toMatch(/done +3 of 3/);
      for (const order of failed) await system.shop.isPending(order);

      const [LETTER = ''] = referencesOf(shown, unknown, 'payments/');
      expect(await page.run('See it', 'dead-letters show', { LETTER })).toContain('"total": "450"');
      await writeFile(join(system.folder, 'corrected.json'), JSON.stringify({ ...data, total: 450 }));
      await page.run('Repair it', 'dead-letters edit', { LETTER });
      await system.shop.requestOf(unknown);
      // order-service cannot read its copy for the notifications, and does not know the order of the payment request.
      const useless = await eventually('order-service has both', async () => {
        const letters = referencesOf(await page.run('Verify it', 'dead-letters list'), unknown, 'orders/');
        return letters.length === 2 && letters;
      });
      for (const letter of useless) await page.run('Repair it', 'dead-letters discard', { LETTER: letter });

      await isSilent('DeadLetters');
      expect(await page.run('Verify it', 'dead-letters list')).toBe('None.\n');
    });

    it('DeadLetters: a message that Kafka has rejected is published once the topic accepts it', async () => {
      const page = runbook('DeadLetters');
      const repair = await system.faults.limitSize(100);
      const order = await system.shop.place();
      const shown = await eventually('the message is dead', async () => {
        const text = await page.run('See it', 'dead-letters causes');
        return text.includes('orders/outbox/') && text;
      });
      await fires('DeadLetters');
      expect(await page.run('See it', 'dead-letters show', { LETTER: referenceOf(shown, order) })).toContain(order);

      await repair();
      const CAUSE = /^orders +1 .*OrderPlaced\n +--cause '?(.+?)'?$/m.exec(shown)?.[1] ?? '';
      expect(await page.run('Repair it', 'dead-letters retry', { SERVICE: 'orders', CAUSE })).toMatch(/done +1 of 1/);

      await system.shop.isPending(order);
      await isSilent('DeadLetters');
      expect(await page.run('Verify it', 'dead-letters list')).toBe('None.\n');
    });

    it('JobsDead: jobs are retried once the other system accepts them, or discarded', async () => {
      const page = runbook('JobsDead');
      system.mails.mode = 'rejects';
      await system.shop.placeAndCancel('bob');
      await system.shop.placeAndCancel('eve');
      await fires('JobsDead');

      const shown = await eventually('both are dead', async () => {
        const text = await page.run('See it', 'jobs causes');
        return text.match(/^orders\//gm)?.length === 2 && text;
      });
      const [job = ''] = /orders\/[\da-f-]{36}/.exec(shown) ?? [];
      const customer = /"customerId": "(bob|eve)"/.exec(await page.run('See it', 'jobs show', { JOB: job }))?.[1];
      await page.run('Repair it', 'jobs discard', { JOB: job });
      system.mails.recover();
      const retried = await page.run('Repair it', 'jobs retry', { SERVICE: 'orders', QUEUE: 'notification' });

      expect(retried).toMatch(/done +1 of 1/);
      expect(system.mails.accepted).toEqual([`${customer === 'bob' ? 'eve' : 'bob'}@customers.example`]);
      await isSilent('JobsDead');
      expect(await page.run('Verify it', 'jobs list')).toBe('None.\n');
    });

    it('JobsOverdue: a queue is paused while the other system hangs', async () => {
      const page = runbook('JobsOverdue');
      const queue = { QUEUE: 'orders/notification' };
      system.mails.mode = 'hangs';
      const accepted = system.mails.accepted.length;
      // The service notifies 32 customers at a time.
      await Promise.all(Array.from({ length: 34 }, () => system.shop.placeAndCancel('bob')));
      await eventually('some jobs find no place', () =>
        system.database
          .sql(
            `update orders.jobs set run_at = run_at - interval '2 minutes' where lease is null and run_at < now() returning id`,
          )
          .then((jobs) => jobs.length > 0),
      );
      await fires('JobsOverdue');

      expect(await page.run('See it', 'status')).toMatch(/notification +running +[1-9]\d* +32 /);
      await page.run('Repair it', 'queues pause', queue);
      await isSilent('JobsOverdue');
      system.mails.recover();
      await page.run('Repair it', 'queues resume', queue);

      // An attempt that has timed out is repeated after a pause, and its mail may have been accepted all the same.
      await eventually('all are notified', () => system.mails.accepted.length >= accepted + 34, 120_000);
      await isSilent('JobsOverdue');
      expect(await page.run('Verify it', 'status')).toMatch(/notification +running +0 +0 /);
    });

    it('RefundPendingTooLong: a refund is retried, and another one confirmed that was paid by hand', async () => {
      const page = runbook('RefundPendingTooLong');
      const repair = await system.faults.broken('payments.payment_requests', 'update', `new.status = 'REFUNDED'`);
      await system.shell.run(
        `npm run twinbox -- consumers pause orders/order-service --reason 'to cancel paid orders'\n`,
      );
      const [first, second] = [await system.shop.payAndCancel(), await system.shop.payAndCancel()];
      await system.shell.run('npm run twinbox -- consumers resume orders/order-service\n');
      await system.database.sql(
        `update payments.jobs set data = jsonb_set(data, '{gateway}', '"gone"'), dead_at = null, attempts = 199, run_at = now()
          where queue = 'refund' and data ->> 'paymentRequestId' = $1`,
        [second],
      );
      await system.database.sql(
        `update payments.payment_requests set updated_at = now() - interval '2 hours' where status = 'REFUND_PENDING'`,
      );
      await fires('RefundPendingTooLong');

      const shown = await eventually('both jobs are dead', async () => {
        const text = await page.run('See it', 'refunds list');
        return text.match(/^payments\//gm)?.length === 2 && text;
      });
      expect(shown).toMatch(new RegExp(`${second} .*450 EUR`));
      await repair();
      const cause = { CAUSE: 'the ledger is broken' };
      expect(await page.run('Repair it', 'jobs retry', cause)).toMatch(/1 dead job .*would be changed[^]*done +1 of 1/);
      await eventually('the first is refunded', async () => (await system.shop.statusOf(first)) === 'REFUNDED');
      await page.run('Repair it', 'refunds confirm', {
        REFUND: second,
        JOB: referencesOf(shown, 'gone', 'payments/')[0] ?? '',
      });

      expect(await system.shop.statusOf(second)).toBe('REFUNDED');
      await isSilent('RefundPendingTooLong');
      expect(await page.run('Verify it', 'refunds list')).toBe('None.\nNone.\n');
    });

    it('IncidentOpen: an offset that went back is acknowledged once everything is consumed again', async () => {
      const page = runbook('IncidentOpen');
      await system.database.sql(
        `update payments.inbox_offsets set next_offset = next_offset - 1 where next_offset > 0`,
      );
      await fires('IncidentOpen');

      const shown = await page.run('See it', 'incidents list');
      expect(shown).toContain('offsets-went-back');
      for (const [INCIDENT = ''] of shown.matchAll(/^payments\/\d+/gm))
        await page.run('Repair it', 'incidents acknowledge', { INCIDENT });

      await isSilent('IncidentOpen');
      expect(await page.run('Verify it', 'incidents list')).toBe('None.\n');
    });

    it('IncidentOpen: messages that Kafka deleted before they were read are published again', async () => {
      const page = runbook('IncidentOpen');
      await system.shell.run(`npm run twinbox -- consumers pause payments/payment-service --reason 'maintenance'\n`);
      const order = await system.shop.place();
      await eventually('its message is published', async () =>
        (await system.shell.run(`npm run twinbox -- order trace ${order}\n`)).includes(
          'Nothing is parked, dead or unpublished.',
        ),
      );
      await system.faults.deleteMessages();
      await system.shell.run('npm run twinbox -- consumers resume payments/payment-service\n');
      await fires('IncidentOpen');

      const shown = await page.run('See it', 'incidents list');
      expect(shown).toContain('messages-missed');
      const [, BEFORE = ''] = /^payments\/\d+ +\S+ +(\S+) .*messages-missed/m.exec(shown) ?? [];
      const replayed = await page.run('Repair it', 'replay', { SERVICE: 'orders', BEFORE });
      expect(replayed).toMatch(/as of .* would be changed[^]*done +(\d+) of \1/);
      await system.shop.isPending(order);
      expect(await page.run('Repair it', 'order late')).not.toContain(order);
      for (const INCIDENT of referencesOf(shown, 'messages-missed'))
        await page.run('Repair it', 'incidents acknowledge', { INCIDENT });

      await isSilent('IncidentOpen');
      expect(await page.run('Verify it', 'incidents list')).toBe('None.\n');
    });

    it('ConsumerStalled: privileges that were revoked are granted again', async () => {
      const page = runbook('ConsumerStalled');
      await system.database.sql('revoke insert on payments.inbox from payments');
      const order = await system.shop.place();
      await fires('ConsumerStalled');

      expect(await page.run('See it', 'status')).toMatch(/payment-service .* Stable +1 /);
      await eventually('it names the error', async () =>
        /failing: inbox payment-service: .*permission denied for table inbox/.test(await page.run('See it', 'status')),
      );
      await page.run('Repair it', 'npm run migrate', system.migration);

      await system.shop.isPending(order);
      await isSilent('ConsumerStalled');
      await page.run('Verify it', 'status');
    });

    it('ServiceDown, ConsumerLag: a service is started again, and a replay cancelled while the backlog drains', async () => {
      const page = runbook('ServiceDown');
      await system.payments.kill();
      await fires('ServiceDown');
      expect(await page.run('See it', 'status', {}, 1)).toMatch(/payments\n +.*cannot be reached/);
      await system.faults.publish('OrderArchived', {}, { count: 1500 });
      const replay = `npm run twinbox -- replay --service orders --all --rate 1 --no-wait --yes --reason 'for the archive'\n`;
      await system.shell.run(replay);

      const { port } = new URL(system.payments.url);
      const again = { ...system.environmentOf('payment-service'), PORT: port, GRPC_PORT: 'off' };
      expect(await page.start('Repair it', 'npm run service', again)).toBe(system.payments.url);
      await fires('ConsumerLag');
      expect(await page.run('Verify it', 'status')).not.toContain('cannot be reached');

      const lag = runbook('ConsumerLag');
      await lag.run('See it', 'status');
      const OPERATION = referenceOf(await lag.run('Repair it', 'operations list'), 'replay');
      expect(await lag.run('Repair it', 'operations cancel', { OPERATION })).toMatch(/state +cancel/);
      for (const alert of ['ServiceDown', 'ConsumerLag']) await isSilent(alert);
      await eventually('the lag is 0', async () =>
        /payment-service .* 0 +0 +0 +0 /.test(await lag.run('Verify it', 'status')),
      );
    });

    it('MetricsIncomplete, ErrorBudgetBurn: services recover by themselves once PostgreSQL is back', async () => {
      const [metrics, errors] = [runbook('MetricsIncomplete'), runbook('ErrorBudgetBurn')];
      const request = () => system.shop.place().catch((error: unknown) => error);
      // A reading of the database, and so its failure, is shared by the scrapes of a second.
      const anotherScrape = async () => {
        const failures = () => system.alerts.total('messaging_scrape_errors_total');
        const before = await failures();
        await until('another reading fails', async () => (await failures()) > before);
      };
      const restore = await cutOff(system.database);
      await fires('MetricsIncomplete', anotherScrape);
      await fires('ErrorBudgetBurn', request);

      for (const page of [metrics, errors])
        expect(await page.run('See it', 'status', {}, 1)).toMatch(/orders\n +.*database/);
      await restore();

      await eventually('nothing fails', async () => !(await errors.run('Verify it', 'status')).includes('failing'));
      for (const alert of ['MetricsIncomplete', 'ErrorBudgetBurn']) await isSilent(alert, request);
      await metrics.run('Verify it', 'status');
    });

    it('LatencyBudgetBurn: an operation that competes with requests is cancelled', async () => {
      const page = runbook('LatencyBudgetBurn');
      const repair = await system.faults.slow('orders.outbox', 0.6);
      await system.shell.run(`npm run twinbox -- replay --service orders --all --rate 1 --no-wait --yes\n`);
      await fires('LatencyBudgetBurn', () => Promise.all([system.shop.place(), system.shop.place()]));

      await page.run('See it', 'status');
      const OPERATION = referenceOf(await page.run('See it', 'operations list'), 'replay');
      expect(await page.run('Repair it', 'blocked_by', system.migration)).toContain('runs_for');
      await page.run('Repair it', 'analyze', system.migration);
      await page.run('Repair it', 'operations cancel', { OPERATION });
      await repair();
      expect(await page.run('Verify it', 'operations list')).not.toContain(OPERATION);

      await isSilent('LatencyBudgetBurn', () => Promise.all([system.shop.place(), system.shop.place()]));
    });

    it('the commands of the page on operations run as they are, and end with a healthy system', async () => {
      const blocks = await blocksFor('commands for operators');
      const order = await system.shop.place();

      const shown = await system.shell.run(blocks.map(({ text }) => text).join(''), { ORDER: order });

      expect(shown).toMatch(/done +(\d+) of \1\n/);
      expect(shown.split('The consumer payment-service of payments is resumed.')[1]).toMatch(
        /orders\n +Everything is healthy\.[^]*payments\n +Everything is healthy\./,
      );
    });

    it('IncidentOpen: the positions of an outbox went back, and its messages are still published', async () => {
      const page = runbook('IncidentOpen');
      // The last fault, because the others replay what the outbox still has.
      await system.faults.truncateOutbox('orders');
      const order = await system.shop.place();
      await fires('IncidentOpen');

      const shown = await page.run('See it', 'incidents list');
      expect(shown).toContain('positions-went-back');
      await system.shop.isPending(order);
      for (const INCIDENT of referencesOf(shown, 'positions-went-back'))
        await page.run('Repair it', 'incidents acknowledge', { INCIDENT });

      await isSilent('IncidentOpen');
      expect(await page.run('Verify it', 'incidents list')).toBe('None.\n');
    });
  });

  it('nothing is left to repair, and each alert and command was part of a test', async () => {
    await eventually('no alert fires', async () => (await system.alerts.firing()).length === 0);

    expect([...system.alerts.seen].toSorted()).toEqual([...pages.keys()].toSorted());
    expect([...pages.values()].flatMap(({ left }) => left)).toEqual([]);
  });
});
