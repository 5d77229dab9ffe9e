import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { createSandboxDatabase } from '../../test/sandbox-database.js';
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
  await expect(aTrail().list(filter, page)).rejects.toThrow(RangeError);
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
