import { DataSource } from 'typeorm';
import { AfterCommit } from './after-commit.js';
import { type MessagingOptions } from '../messaging-options.js';
import { Outbox } from '../outbox/outbox.js';
import { messagingTables } from '../postgres/schema.js';
import { createDatabase, type TestDatabase, testServerUrl } from '../testing/database.js';

class Counted {
  static readonly version = 1;
  readonly n!: number;
}

const contract = { name: 'c', aggregateType: 'counter', partitions: 1, retentionMs: 1000, events: { Counted } };
let database: TestDatabase;
let db: DataSource;
let afterCommit: AfterCommit;
let outbox: Outbox;
let relayWoken: number;

beforeAll(async () => {
  database = await createDatabase(testServerUrl());
  await database.sql('create schema sandbox');
  for (const statement of messagingTables('sandbox')) await database.sql(statement);
});

beforeEach(async () => {
  relayWoken = 0;
  db = await new DataSource({ type: 'postgres', url: database.url }).initialize();
  afterCommit = new AfterCommit();
  const options = { schema: 'sandbox', publishes: [contract] } as unknown as MessagingOptions;
  outbox = new Outbox(options, afterCommit, () => void relayWoken++);
});

afterEach(() => db.destroy());
afterAll(() => database.drop());

const event = (n: number) => ({ type: 'Counted', data: { n } });
const counter = (version: number) => ({ aggregateType: 'counter', aggregateId: 'a', version });

it('adding to the outbox returns the ids of the messages in the order of the events', async () => {
  const ids = await db.transaction((tx) => outbox.add(tx, counter(3), [event(1), event(2), event(3)]));

  const rows = await database.sql('select id, payload from sandbox.outbox order by position');
  expect(rows).toEqual(ids.map((id, index) => ({ id, payload: `{"n":${index + 1}}` })));
  expect(await db.transaction((tx) => outbox.add(tx, counter(3), []))).toEqual([]);
});

describe('a commit listener', () => {
  it('is called once after the commit, however often it was registered, and so is the relay', async () => {
    let woken = 0;
    const wake = () => void woken++;
    let before: unknown;

    await db.transaction(async (tx) => {
      afterCommit.run(tx.queryRunner!, wake);
      await outbox.add(tx, counter(1), [event(1)]);
      afterCommit.run(tx.queryRunner!, wake);
      await tx.transaction(async (inner) => void (await inner.query('select 1')));
      before = [woken, relayWoken];
    });

    expect(before).toEqual([0, 0]);
    expect([woken, relayWoken]).toEqual([1, 1]);
  });

  it('is not called after a rollback, nor after the next transaction on the same connection', async () => {
    let woken = 0;
    const runner = db.createQueryRunner();
    await runner.startTransaction();
    afterCommit.run(runner, () => void woken++);
    await runner.rollbackTransaction();

    await runner.startTransaction();
    await runner.commitTransaction();
    await runner.release();

    expect(woken).toBe(0);
  });
});
