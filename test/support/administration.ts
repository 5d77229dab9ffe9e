import { randomUUID } from 'node:crypto';
import { type createApp } from '@twinbox/api-kit';
import { until } from '@twinbox/messaging/testing';
import { type Administered, administrationOf } from './admin-cases.js';
import { type Answer, caller, expectProblem } from './http.js';

type App = Awaited<ReturnType<typeof createApp>>;

const BASE = '/admin/messaging';
const REASON = { reason: 'a test' };
const ADMIN = { 'x-user-id': 'root', 'x-roles': 'admin' };

export interface AdministrationSetting extends Administered {
  /** Creates another replica of the service, which does not listen yet. */
  readonly anotherReplica: () => Promise<App>;
  /** For each job queue, data and how an operator may and may not edit it. */
  readonly jobs: Readonly<
    Record<string, { readonly data: object; readonly edited: object; readonly refused: object[] }>
  >;
}

interface Entry {
  readonly action: string;
  readonly reason: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Tests the administration of a service, the same for each. */
export function describeAdministration(start: () => Promise<AdministrationSetting>): void {
  let setting: AdministrationSetting;
  let admin: ReturnType<typeof administrationOf>;
  let replica: App;
  beforeAll(async () => {
    setting = await start();
    admin = administrationOf(setting);
    replica = await setting.anotherReplica();
    await replica.listen(0, '127.0.0.1');
  });
  afterAll(async () => {
    await replica.close();
    await setting.service.stop();
  });

  const get = async (path: string) => (await admin.root.get(BASE + path)).body;
  const fromReplica = async (path: string) => (await caller(await replica.getUrl(), ADMIN).get(BASE + path)).body;
  const entriesOf = async (query: string): Promise<readonly Entry[]> => (await get(`/audit?${query}`)).items;

  it('P9 shows what is wrong and since when, and every replica shows the same', async () => {
    await admin.aDeadLetter();
    const { topic } = setting;
    await until('the overview shows the dead letter', async () => {
      const { problems } = await get('');
      return problems.some(
        ({ component, since }: { component: string; since: string | null }) =>
          component.startsWith('inbox ') && since !== null,
      );
    });

    const [one, other] = [await get(''), await fromReplica('')];

    expect(one.consumers).toContainEqual(expect.objectContaining({ topic, deadLetters: 1, paused: null }));
    expect(one.consumers[0].group).toMatchObject({ lag: expect.any(Number), members: expect.any(Number) });
    expect(one.kafkaProblem).toBeNull();
    const names = ({ consumers, queues, problems, relay }: Answer['body']) => [
      consumers.map(({ consumer, deadLetters }: Record<string, unknown>) => [consumer, deadLetters]),
      queues.map(({ queue }: Record<string, unknown>) => queue),
      problems.map(({ component, severity }: Record<string, unknown>) => [component, severity]),
      [relay.holder, relay.fencingToken, relay.state],
    ];
    expect(names(other)).toEqual(names(one));
  });

  it('P5 finds a dead letter, shows all of it, and retries it once for an idempotency key', async () => {
    const key = randomUUID();
    const id = await admin.aDeadLetter(key);
    const path = `${BASE}/dead-letters/inbox/${id}`;
    const { items } = await get(`/dead-letters?box=inbox&key=${key}`);
    const { items: causes } = await get(`/dead-letters/causes?box=inbox&key=${key}`);
    expect(items).toMatchObject([{ id, key, topic: setting.topic, type: setting.event.type }]);
    expect(causes).toMatchObject([{ count: 1, types: [setting.event.type] }]);
    expect(await fromReplica(`/dead-letters/inbox/${id}`)).toMatchObject({
      payload: 'not JSON',
      rawValue: Buffer.from('not JSON').toString('base64'),
      headers: { ce_type: setting.event.type },
      waiting: 0,
    });

    const { post } = admin.withKey();
    const retried = [await post(`${path}/retry`, REASON), await post(`${path}/retry`, REASON)];

    expect(retried[0]).toMatchObject({ status: 200, body: { id, key } });
    expect(retried[1]?.body).toEqual(retried[0]?.body);
    const { messageId } = items[0];
    expect(await entriesOf(`messageId=${messageId}&action=retry`)).toMatchObject([
      { actor: 'root', box: 'inbox', reason: 'a test', outcome: 'done', letter: { id } },
    ]);
    await until('it has died again', async () => (await admin.root.get(path)).status === 200);
  });

  it('edits a dead letter if its contract accepts the payload, and keeps the original in the audit', async () => {
    const id = await admin.aDeadLetter();
    const path = `${BASE}/dead-letters/inbox/${id}`;
    const { messageId } = await get(`/dead-letters/inbox/${id}`);
    const payload = JSON.stringify(setting.event.data);

    expectProblem(await admin.root.post(`${path}/edit`, { ...REASON, payload: '{"half"' }), 422, 'edit-invalid');
    const edited = await admin.root.post(`${path}/edit`, { ...REASON, payload });

    expect(edited).toMatchObject({ status: 200, body: { id, messageId } });
    const [entry] = await entriesOf(`messageId=${messageId}&action=edit`);
    expect(entry).toMatchObject({ actor: 'root', detail: { original: 'not JSON', edited: payload } });
    const refused = await until('the refusal is recorded', async () =>
      (await entriesOf('outcome=refused&action=edit')).find(({ detail }) => detail['problem'] === 'edit-invalid'),
    );
    expect(JSON.stringify(refused)).not.toContain('half');
  });

  it('lists dead jobs in pages, and changes one in the transaction of its audit entry (P1)', async () => {
    const queue = randomUUID();
    const ids = [await admin.aDeadJob(queue), await admin.aDeadJob(queue), await admin.aDeadJob(queue)];
    const { items, nextCursor } = await get(`/dead-jobs?queue=${queue}&order=oldest&limit=2`);
    const rest = await get(`/dead-jobs?queue=${queue}&order=oldest&limit=2&cursor=${nextCursor}`);
    expect([...items, ...rest.items].map(({ id }: { id: string }) => id)).toEqual(ids);
    const wrong = await admin.root.get(`${BASE}/dead-jobs?queue=another&order=oldest&cursor=${nextCursor}`);
    expectProblem(wrong, 400, 'validation');

    const { schema, service } = setting;
    const path = `${BASE}/dead-jobs/${ids[0]}`;
    await service.database.sql(`revoke insert on ${schema}.messaging_audit from ${schema}`);
    const failed = await admin.root.post(`${path}/discard`, REASON);
    await service.database.sql(`grant insert on ${schema}.messaging_audit to ${schema}`);

    expectProblem(failed, 500, 'internal-error');
    expect(await get(`/dead-jobs/${ids[0]}`)).toMatchObject({ id: ids[0], data: { n: 1 }, history: [] });
    expectProblem(await admin.root.post(`${path}/discard`, {}), 400, 'validation');
    expect(await admin.root.post(`${path}/discard`, REASON)).toMatchObject({ status: 200, body: { id: ids[0] } });
    expectProblem(await admin.root.post(`${path}/discard`, REASON), 404, 'dead-job-not-found');
  });

  it('edits a dead job of each queue only if its handler accepts the data', async () => {
    const { jobs } = setting;
    const { known } = (await admin.root.send('PUT', `${BASE}/pauses/queue/none`, {})).body;
    expect(Object.keys(jobs).toSorted()).toEqual(known);

    for (const [queue, { data, edited, refused }] of Object.entries(jobs)) {
      const id = await admin.aDeadJob(queue, 'it failed', data);
      const path = `${BASE}/dead-jobs/${id}`;
      for (const wrong of [...refused, {}, [], 'text', null]) {
        const answer = await admin.root.post(`${path}/edit`, { ...REASON, data: JSON.stringify(wrong) });
        expectProblem(answer, 422, 'edit-invalid');
        expect([wrong, answer.body.detail]).toEqual([wrong, expect.stringContaining('must')]);
      }
      expect(await get(`/dead-jobs/${id}`)).toMatchObject({ data });
      const accepted = await admin.root.post(`${path}/edit`, { ...REASON, data: JSON.stringify(edited) });
      expect(accepted).toMatchObject({ status: 200, body: { id, queue } });
    }
  });

  it('lists parked messages by their fields and in pages, each with what it waits for', async () => {
    const [key, type] = [randomUUID(), randomUUID()];
    const first = await admin.aParkedMessage(key, type);
    const second = await admin.aParkedMessage(key, type, false);
    const other = await admin.aParkedMessage(randomUUID(), type);
    const ids = async (query: string) =>
      (await get(`/parked?box=inbox&${query}`)).items.map(({ id }: { id: string }) => id);

    expect(await ids(`key=${key}`)).toEqual([first, second]);
    expect(await ids(`type=${type}&consumer=tested&topic=${setting.topic}`)).toEqual([first, second, other]);
    for (const nothing of ['consumer=nobody', 'topic=nothing', `key=${randomUUID()}`])
      expect(await ids(`type=${type}&${nothing}`)).toEqual([]);
    const page = await get(`/parked?box=inbox&type=${type}&limit=2`);
    const rest = await get(`/parked?box=inbox&type=${type}&limit=2&cursor=${page.nextCursor}`);
    expect([...page.items, ...rest.items].map(({ id }: { id: string }) => id)).toEqual([first, second, other]);
    expect(rest.nextCursor).toBeNull();
    expect(page.items).toMatchObject([
      { attempts: 2, error: 'it failed', waitsFor: null, nextAttemptAt: expect.any(String) },
      { attempts: 0, error: null, waitsFor: { id: first, dead: false }, nextAttemptAt: null },
    ]);
    expect(await fromReplica(`/parked/inbox/${first}`)).toMatchObject({
      id: first,
      key,
      payload: '{"n":1}',
      rawValue: Buffer.from('{"n":1}').toString('base64'),
      headers: { ce_type: 'T' },
    });

    const wrongCursor = await admin.root.get(`${BASE}/parked?box=inbox&type=Other&cursor=${page.nextCursor}`);
    expectProblem(wrongCursor, 400, 'validation');
    expectProblem(await admin.root.get(`${BASE}/parked`), 400, 'validation');
    expectProblem(await admin.root.get(`${BASE}/parked?box=outbox&consumer=x`), 422, 'dead-letter-filter-unknown');
    expectProblem(await admin.root.get(`${BASE}/parked/inbox/999999`), 404, 'parked-message-not-found');
    expectProblem(await admin.root.get(`${BASE}/parked/outbox/${first}`), 404, 'parked-message-not-found');
    expectProblem(await admin.root.get(`${BASE}/parked/inbox/x`), 400, 'validation');
    await setting.service.database.sql(`delete from ${setting.schema}.inbox_parked where consumer = 'tested'`);
  });

  it('shows the messages and jobs of one aggregate, and when consumers recorded messages', async () => {
    const { service, schema } = setting;
    const [id, one, two] = [randomUUID(), randomUUID(), randomUUID()];
    await service.database.sql(
      `insert into ${schema}.inbox (consumer, message_id, source, received_at)
       values ('tested', $1, '/test', now() - interval '1 minute'), ('tested', $2, '/test', now())`,
      [one, two],
    );
    const { consumer } = (await get('')).consumers[0];
    await admin.aParkedMessage(id, 'Tested', true, consumer);
    const job = await admin.aDeadJob();
    await service.database.sql(`update ${schema}.jobs set aggregate_id = $2 where id = $1`, [job, id]);

    const messages = await get(`/aggregates/${id}`);
    const records = await fromReplica(`/inbox-records?messageId=${two}&messageId=${one}&messageId=${id}`);

    expect(messages).toMatchObject({
      raised: [],
      held: [{ consumer, type: 'Tested', attempts: 2, diedAt: null }],
      jobs: [{ id: job, queue: 'tested', running: false, diedAt: expect.any(String) }],
    });
    expect(records.items.map(({ messageId }: { messageId: string }) => messageId)).toEqual([one, two]);
    expect((await get(`/inbox-records?messageId=${one}`)).items).toMatchObject([
      { consumer: 'tested', source: '/test' },
    ]);
    expect(await get(`/aggregates/${randomUUID()}`)).toEqual({ raised: [], held: [], discarded: [], jobs: [] });
    expect((await get(`/inbox-records?messageId=${id}`)).items).toEqual([]);
    expectProblem(await admin.root.get(`${BASE}/inbox-records`), 400, 'validation');
    const many = Array.from({ length: 91 }, (_, n) => `messageId=${n}`).join('&');
    expectProblem(await admin.root.get(`${BASE}/inbox-records?${many}`), 400, 'validation');
    expectProblem(await admin.root.get(`${BASE}/aggregates/${'x'.repeat(256)}`), 400, 'validation');
    await service.database.sql(`delete from ${schema}.inbox_parked where type = 'Tested'`);
  });

  it.each(['/parked?box=inbox', '/parked/inbox/1', '/aggregates/1', '/inbox-records?messageId=1', '/pauses', '/audit'])(
    'P10 shows %s to operators, and refuses customers',
    async (path) => {
      const { service } = setting;
      const customer = await service.caller({ 'x-user-id': 'ada' }).get(BASE + path);
      const operator = await service.caller({ 'x-user-id': 'olga', 'x-roles': 'operator' }).get(BASE + path);

      expectProblem(customer, 403, 'role-required');
      expect([200, 404]).toContain(operator.status);
    },
  );

  it('counts with a dry run, and runs the operation on the same jobs', async () => {
    const queue = randomUUID();
    await admin.aDeadJob(queue);
    await admin.aDeadJob(queue);
    const request = { kind: 'discard-jobs', filter: { queue }, ...REASON };
    const dryRun = await admin.root.post(`${BASE}/operations`, { ...request, options: { dryRun: true } });
    await admin.aDeadJob(queue);

    const { asOf } = dryRun.body;
    const created = await admin.root.post(`${BASE}/operations`, { ...request, options: { asOf } });

    expect(dryRun).toMatchObject({ status: 200, body: { total: 2 } });
    expect(created).toMatchObject({ status: 201, body: { kind: 'discard-jobs', total: 2, actor: 'root' } });
    const path = `/operations/${created.body.id}`;
    expect(created.headers.get('location')).toBe(BASE + path);
    const done = await until('it is done', async () => {
      const operation = await fromReplica(path);
      return operation.state === 'done' && operation;
    });
    expect(done).toMatchObject({ done: 2, failed: 0 });
    expect((await get(`/dead-jobs?queue=${queue}`)).items).toHaveLength(1);
    expectProblem(await admin.root.post(`${BASE}${path}/cancel`, {}), 409, 'operation-ended');
    const withoutReason = await admin.root.post(`${BASE}/operations`, { ...request, reason: undefined });
    expectProblem(withoutReason, 422, 'operation-invalid');
  });

  it.each([
    ['/filter/createdAfter', { filter: { createdAfter: '2026-02-30T00:00:00Z' } }],
    ['/filter/createdBefore', { filter: { createdBefore: '2026-11-30' } }],
    ['/filter/diedAfter', { filter: { diedAfter: '2026-11-31T00:00:00Z' } }],
    ['/filter/diedBefore', { filter: { diedBefore: '2026-11-30T00:00:00' } }],
    ['/filter/key', { filter: { key: 'half \uD800' } }],
    ['/filter/cause', { filter: { cause: 'zero \0' } }],
    ['/filter/aggregateId', { filter: { aggregateId: '\uDFFF' } }],
    ['/filter/ids/1', { kind: 'retry-jobs', filter: { ids: ['17', '\uD800'] } }],
    ['/options/asOf', { filter: { all: true }, options: { asOf: '2026-02-30T00:00:00Z' } }],
    ['/options/topic', { filter: { all: true }, options: { topic: '\uD800' } }],
    ['/reason', { filter: { all: true }, reason: '\uD800' }],
  ])('rejects what PostgreSQL could not store, with its pointer: %s', async (pointer, request) => {
    const options = { dryRun: true, ...('options' in request ? request.options : {}) };
    const answer = await admin.root.post(`${BASE}/operations`, { kind: 'replay', ...request, options });

    expectProblem(answer, 400, 'validation');
    expect(answer.body.errors).toMatchObject([{ pointer: expect.stringContaining(pointer) }]);
  });

  it('accepts a time with any offset', async () => {
    const filter = { diedAfter: '2026-01-01T00:00:00.123456789+23:59', diedBefore: '2026-01-02T00:00:00-23:59' };
    const options = { dryRun: true, asOf: '2026-01-03T00:00:00+23:59' };

    const answer = await admin.root.post(`${BASE}/operations`, { kind: 'retry-jobs', filter, options });

    expect(answer).toMatchObject({ status: 200, body: { total: 0, asOf: '2026-01-02T00:01:00.000000Z' } });
  });

  it.each([
    ['diedAfter', '/dead-letters?box=inbox&diedAfter=2026-02-30'],
    ['diedBefore', '/dead-jobs?diedBefore=2026-02-30T00:00:00Z'],
    ['key', '/dead-letters/causes?box=inbox&key=a%00'],
    ['key', '/parked?box=inbox&key=a%00'],
    ['cause', '/dead-jobs/causes?cause=a%00'],
    ['actor', '/audit?actor=a%00'],
    ['messageId', '/inbox-records?messageId=a%00'],
  ])('rejects a filter that no row can match: %s in %s', async (parameter, path) => {
    const answer = await admin.root.get(BASE + path);

    expectProblem(answer, 400, 'validation');
    expect(answer.body.errors).toMatchObject([{ parameter: expect.stringContaining(parameter) }]);
  });

  it('pauses and resumes in every replica, and repeating either changes nothing', async () => {
    const pause = (reason: string) => admin.root.send('PUT', `${BASE}/pauses/relay/relay`, { reason });

    expect(await pause('one')).toMatchObject({ status: 200, body: { kind: 'relay', actor: 'root', reason: 'one' } });
    expect(await pause('two')).toMatchObject({ status: 200, body: { reason: 'one' } });
    expect((await fromReplica('/pauses')).items).toMatchObject([{ kind: 'relay', name: 'relay' }]);
    await until('the overview shows it', async () => (await get('')).relay.paused?.reason === 'one');
    const resumed = await admin.root.send('DELETE', `${BASE}/pauses/relay/relay?reason=done`);
    expect(resumed.body).toMatchObject({ ended: { reason: 'one' } });
    expect((await admin.root.send('DELETE', `${BASE}/pauses/relay/relay`)).body).toEqual({ ended: null });
    const unknown = await admin.root.send('PUT', `${BASE}/pauses/consumer/nobody`, {});
    expectProblem(unknown, 404, 'nothing-to-pause');
    expect(unknown.body.known).toContain((await get('')).consumers[0].consumer);
  });

  it('acknowledges an incident', async () => {
    const id = await admin.anIncident();
    expect((await get('/incidents')).items).toContainEqual(expect.objectContaining({ id }));

    const path = `${BASE}/incidents/${id}/acknowledge`;
    expect(await admin.root.post(path, REASON)).toMatchObject({ status: 200, body: { id } });
    expectProblem(await admin.root.post(path, REASON), 404, 'incident-not-found');
    expect((await fromReplica('/incidents')).items).not.toContainEqual(expect.objectContaining({ id }));
  });

  it('accepts an actor and a reason in the longest form wherever something is changed', async () => {
    const [actor, reason] = ['😀'.repeat(255), '😀'.repeat(2000)];
    const { post, send } = setting.service.caller({
      'x-user-id': Buffer.from(actor).toString('latin1'),
      'x-roles': 'admin',
    });
    const [queue, { edited }] = Object.entries(setting.jobs)[0]!;
    const letter = async () => `${BASE}/dead-letters/inbox/${await admin.aDeadLetter()}`;
    const job = async (of?: string) => `${BASE}/dead-jobs/${await admin.aDeadJob(of)}`;
    const operation = { kind: 'retry-jobs', filter: { queue: 'nobody has it' }, reason };
    // The reason of a DELETE is in its URL, which may have 16 KiB together with the headers.
    const inUrl = reason.slice(0, 2200);

    const answers = [
      await post(`${await letter()}/retry`, { reason }),
      await post(`${await letter()}/discard`, { reason }),
      await post(`${await letter()}/edit`, { reason, payload: JSON.stringify(setting.event.data) }),
      await post(`${await job()}/retry`, { reason }),
      await post(`${await job()}/discard`, { reason }),
      await post(`${await job(queue)}/edit`, { reason, data: JSON.stringify(edited) }),
      await post(`${BASE}/operations`, operation),
      await post(`${BASE}/operations/01939d3c-0000-7000-8000-000000000000/cancel`, { reason }),
      await send('PUT', `${BASE}/pauses/relay/relay`, { reason }),
      await send('DELETE', `${BASE}/pauses/relay/relay?reason=${encodeURIComponent(inUrl)}`),
      await post(`${BASE}/incidents/${await admin.anIncident()}/acknowledge`, { reason }),
    ];

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200, 201, 404, 200, 200, 200]);
    const reasons = (await entriesOf(`actor=${encodeURIComponent(actor)}`)).map((entry) => entry.reason);
    expect(new Set(reasons)).toEqual(new Set([reason, inUrl]));
  });

  it('records a refused request whose text is cut within a character', async () => {
    const actors = [randomUUID(), randomUUID()];
    const path = `${BASE}/dead-letters/inbox/17/discard`;

    for (const [n, actor] of actors.entries())
      await setting.service.caller({ 'x-user-id': actor }).post(path, { reason: 'x'.repeat(n) + '😀'.repeat(1500) });

    for (const actor of actors) {
      const [entry] = await until('the refusal is recorded', async () => {
        const entries = await entriesOf(`outcome=refused&actor=${actor}`);
        return entries.length > 0 && entries;
      });
      expect(entry?.detail['request']).toMatch(/^\{"params":\{.*😀.?$/u);
    }
  });

  it('P10 records who was not allowed to change something, at most once a second for each caller', async () => {
    const { service } = setting;
    const [olga, ada] = [`olga ${randomUUID()}`, `ada ${randomUUID()}`];
    const operator = service.caller({ 'x-user-id': olga, 'x-roles': 'operator' });
    const path = `${BASE}/dead-letters/outbox/17/discard`;

    const answers = await Promise.all(Array.from({ length: 5 }, () => operator.post(path, { reason: 'no\0 text' })));
    const customer = await service.caller({ 'x-user-id': ada }).post(`${BASE}/operations`, { kind: 'replay' });
    const nobody = await service.caller({}).post(path, REASON);
    await service.caller({ 'x-user-id': ada }).get(BASE);

    for (const answer of [...answers, customer]) expectProblem(answer, 403, 'role-required');
    expectProblem(nobody, 401, 'caller-unknown');
    const refused = await until('both are recorded', async () => {
      const entries = [olga, ada].map((actor) => entriesOf(`outcome=refused&actor=${encodeURIComponent(actor)}`));
      const found = (await Promise.all(entries)).flat();
      return found.length > 1 && found;
    });
    expect(refused).toMatchObject([
      { actor: olga, action: 'discard', box: 'outbox', letter: {}, detail: { problem: 'role-required' } },
      { actor: ada, action: 'create', box: 'operations', detail: { body: { kind: 'replay' } } },
    ]);
    expect(refused[0]?.detail['route']).toBe('POST /admin/messaging/dead-letters/:box/:id/discard');
  });
}
