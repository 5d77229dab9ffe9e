import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { createSandboxDatabase } from '../../test/sandbox-database.js';
import { InvalidInputError } from '../errors.js';
import { type MessagingOptions } from '../messaging-options.js';
import { type TestDatabase } from '../testing/database.js';
import { Audit, type AuditFilter } from './audit.js';
import { AuditTrail } from './audit-trail.js';

let database: TestDatabase;
let dataSource: DataSource;
beforeAll(async () => {
  database = await createSandboxDatabase();
  dataSource = await new DataSource({ type: 'postgres', url: database.url }).initialize();
});
afterAll(async () => {
  await dataSource.destroy();
  await database.drop();
});
beforeEach(async () => {
  await database.sql('truncate sandbox.messaging_audit restart identity');
});

const aTrail = () =>
  new AuditTrail({ schema: 'sandbox' } as MessagingOptions, { default: dataSource, handling: dataSource });

/** Writes one entry for each letter. */
async function write(actor: string, action: string, letters: object[], operation?: string): Promise<void> {
  const audit = new Audit('sandbox');
  await dataSource.transaction((tx) =>
    audit.write(tx, { actor, action, box: 'inbox', reason: undefined, operation, detail: { why: 'test' } }, letters),
  );
}

it('lists entries by actor, action, outcome, message and operation, the newest first and in pages', async () => {
  const operation = randomUUID();
  await write('ada', 'retry', [{ messageId: 'm1' }, { messageId: 'm2' }]);
  await write('bob', 'discard', [{ messageId: 'm1' }], operation);
  const trail = aTrail();
  await trail.refused({ actor: 'eve', action: 'retry', box: 'inbox', reason: undefined, detail: { all: true } });
  const ids = async (filter: AuditFilter) => (await trail.list(filter)).items.map(({ id }) => id);

  expect(await ids({})).toEqual(['4', '3', '2', '1']);
  expect(await ids({ actor: 'ada' })).toEqual(['2', '1']);
  expect(await ids({ action: 'retry' })).toEqual(['4', '2', '1']);
  expect(await ids({ action: 'retry', outcome: 'done' })).toEqual(['2', '1']);
  expect(await ids({ outcome: 'refused' })).toEqual(['4']);
  expect(await ids({ messageId: 'm1' })).toEqual(['3', '1']);
  expect(await ids({ operation })).toEqual(['3']);
  expect(await ids({ actor: 'nobody' })).toEqual([]);
  const first = await trail.list({}, { limit: 3 });
  expect(first.items).toHaveLength(3);
  expect(await trail.list({}, { limit: 3, cursor: first.nextCursor! })).toMatchObject({
    items: [{ id: '1', at: expect.any(Date), actor: 'ada', letter: { messageId: 'm1' }, detail: { why: 'test' } }],
    nextCursor: null,
  });
});

it.each<[AuditFilter, object]>([
  [{ operation: 'x' }, {}],
  [{ actor: 'a\0' }, {}],
  [{}, { limit: 0 }],
  [{}, { cursor: 'x' }],
])('refuses the filter %j and the page %j', async (filter, page) => {
  await expect(aTrail().list(filter, page)).rejects.toThrow(InvalidInputError);
});

it('P7 writes at most one refused action a second for each actor', async () => {
  const trail = aTrail();
  const refusal = { action: 'discard', box: 'inbox', reason: 'no\0 reason', detail: { all: true } };

  const written = await Promise.all(
    ['eve', 'eve', 'mallory', 'eve'].map((actor) => trail.refused({ ...refusal, actor })),
  );

  expect(written).toEqual([true, false, true, false]);
  const { items } = await trail.list({ outcome: 'refused' });
  expect(items.map(({ actor }) => actor).toSorted()).toEqual(['eve', 'mallory']);
  expect(items[0]).toMatchObject({ action: 'discard', letter: {}, detail: { all: true }, operation: null });
});

it('P7 writes at most one refused action a second for each actor over all processes, and again after a failed attempt', async () => {
  const refusal = { actor: 'eve', action: 'discard', box: 'inbox', reason: undefined };
  const [first, second] = [aTrail(), aTrail()];
  await database.sql('alter table sandbox.messaging_audit rename to away');
  await expect(first.refused(refusal)).rejects.toThrow('does not exist');
  await database.sql('alter table sandbox.away rename to messaging_audit');

  const written = await Promise.all([first, second].map((trail) => trail.refused(refusal)));

  expect(written.filter(Boolean)).toEqual([true]);
  await database.sql(`update sandbox.messaging_audit set at = at - interval '1 s'`);
  expect(await aTrail().refused(refusal)).toBe(true);
});

it('shows the size of a long detail in a list, and the whole in a single entry', async () => {
  const detail = { original: 'x'.repeat(3000) };
  const audit = new Audit('sandbox');
  await dataSource.transaction((tx) =>
    audit.write(tx, { actor: 'ada', action: 'edit', box: 'inbox', reason: undefined, detail }, [{}]),
  );
  const trail = aTrail();

  const [listed] = (await trail.list()).items;
  const whole = await trail.find(listed!.id);

  expect(listed!.detail).toEqual({ characters: 3016 });
  expect(whole).toEqual({ ...listed, detail });
  expect(await trail.find('99')).toBeUndefined();
  await expect(trail.find('x')).rejects.toThrow(InvalidInputError);
});

it('P7 reads a bounded number of entries for a page, however many there are', async () => {
  await database.sql(
    `insert into sandbox.messaging_audit (actor, action, box, letter, detail)
     select case n when 1 then 'rare' else 'ada' end, 'retry', 'inbox', '{}', '{"why":"test"}' from generate_series(1, 200000) as n`,
  );
  await database.sql('analyze sandbox.messaging_audit');
  const trail = aTrail();

  expect(await mostRowsOf(() => trail.list())).toBeLessThanOrEqual(51);
  expect(await mostRowsOf(() => trail.list({}, { cursor: '100000' }))).toBeLessThanOrEqual(51);
  expect(await mostRowsOf(() => trail.list({ operation: randomUUID() }))).toBeLessThanOrEqual(51);
  expect(await mostRowsOf(() => trail.list({ actor: 'rare' }))).toBeLessThanOrEqual(5000);
  expect(await trail.list({ actor: 'rare' })).toEqual({ items: [], nextCursor: '195001' });
  expect((await trail.list({ actor: 'rare' }, { cursor: '4000' })).items).toMatchObject([{ id: '1', actor: 'rare' }]);
});

/** Returns the most rows that a step of the plans of these statements processed. None may write temporary files. */
async function mostRowsOf(work: () => Promise<unknown>): Promise<number> {
  const sent: { readonly query: string; readonly parameters: unknown }[] = [];
  dataSource.subscribers.push({ beforeQuery: ({ query, parameters }) => void sent.push({ query, parameters }) });
  await work();
  dataSource.subscribers.pop();
  let most = 0;
  for (const { query, parameters } of sent) {
    const [row]: { 'QUERY PLAN': [{ Plan: Plan }] }[] = await dataSource.query(
      `explain (analyze, buffers, format json) ${query}`,
      parameters as unknown[],
    );
    const visit = (plan: Plan): void => {
      expect(plan['Temp Written Blocks']).toBe(0);
      most = Math.max(most, plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0));
      plan.Plans?.forEach(visit);
    };
    visit(row!['QUERY PLAN'][0].Plan);
  }
  expect(sent.length).toBeGreaterThan(0);
  return most;
}

interface Plan {
  readonly 'Actual Rows': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Temp Written Blocks': number;
  readonly Plans?: readonly Plan[];
}
