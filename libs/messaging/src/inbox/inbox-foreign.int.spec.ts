import { randomUUID } from 'node:crypto';
import { type INestApplication } from '@nestjs/common';
import { type InboxOptions } from '../messaging-options.js';
import { counted, CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { configureTopic, produce, type RawRecord } from '../testing/topic.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
const apps: INestApplication[] = [];

/** Starts a process whose retries are later than the end of any test. */
async function start(options: Partial<InboxOptions> = {}): Promise<INestApplication> {
  const app = await startCounter(sandbox, { backOff: { firstMs: 600_000, maxMs: 600_000 }, ...options });
  apps.push(app);
  return app;
}

/** Sends each record in a batch of its own, because a broker rejects whole batches. */
async function send(...records: RawRecord[]): Promise<void> {
  for (const record of records)
    await produce(sandbox.options.brokers, sandbox.consumer.topic.name, [{ partition: 0, ...record }]);
}

/** Gives each record a key of its own, because a dead letter may hold its key, unless the case is about the key. */
function recordOf([name, , record]: (typeof cases)[number]): RawRecord {
  const made = record();
  return made.key === 'a' ? { ...made, key: name } : made;
}

const effects = async () =>
  sandbox.database.sql<{ key: string; n: number }>('select key, n from sandbox.effects order by seq');
const parked = () =>
  sandbox.database.sql(
    'select "offset", attempts, dead_at, next_attempt_at from sandbox.inbox_parked order by "offset"',
  );

/** Makes the topic accept records that the broker's defaults would reject. */
const takeEverything = () =>
  configureTopic(sandbox.options.brokers, sandbox.consumer.topic.name, {
    'max.message.bytes': '10000000',
    'message.timestamp.after.max.ms': '9223372036854775807',
    'message.timestamp.before.max.ms': '9223372036854775807',
  });

const envelope = () => ({ ce_specversion: '1.0', ce_id: randomUUID(), ce_type: 'Counted', ce_source: '/foreign' });
const withHeaders = (headers: RawRecord['headers']) => counted(1, { headers: { ...envelope(), ...headers } });
const structured = (event: object, contentType = 'application/cloudevents+json') =>
  counted(1, { headers: { 'content-type': contentType }, value: JSON.stringify(event) });
const anEvent = () => ({ specversion: '1.0', id: randomUUID(), type: 'Counted', source: '/foreign' });
const fourBytes = (n: number) => '😀'.repeat(n);

/** Records and their outcomes: `handled` with its effect, or a `dead` letter at once. */
const cases: [string, 'handled' | 'dead', () => RawRecord][] = [
  ['a key of 255 characters of four bytes', 'handled', () => counted(1, { key: fourBytes(255) })],
  ['a key of 256 characters', 'dead', () => counted(1, { key: fourBytes(256) })],
  ['an empty key', 'handled', () => counted(1, { key: Buffer.alloc(0) })],
  ['no key', 'dead', () => counted(1, { key: null })],
  ['a key of 100,000 bytes', 'dead', () => counted(1, { key: 'k'.repeat(100_000) })],
  ['a key of a megabyte', 'dead', () => counted(1, { key: Buffer.alloc(1_000_000, 0xff) })],
  ['a key that is not UTF-8', 'dead', () => counted(1, { key: Buffer.from([0xff, 0x61]) })],
  ['a key with a zero byte', 'dead', () => counted(1, { key: 'a\0b' })],
  ['a key with control characters', 'handled', () => counted(1, { key: 'a\n\u0001\u0085b' })],
  ['a lone surrogate in the key', 'dead', () => counted(1, { key: Buffer.from([0xed, 0xa0, 0x80]) })],
  ['no headers', 'dead', () => counted(1, { headers: {} })],
  ['an empty id', 'dead', () => withHeaders({ ce_id: '' })],
  ['an id with a zero byte', 'dead', () => withHeaders({ ce_id: 'a\0b' })],
  ['an id that is not UTF-8', 'dead', () => withHeaders({ ce_id: Buffer.from([0xff]) })],
  ['an id of 255 characters of four bytes', 'handled', () => withHeaders({ ce_id: fourBytes(255) })],
  ['an id of 256 characters', 'dead', () => withHeaders({ ce_id: 'i'.repeat(256) })],
  [
    'an id and source too large for an index entry',
    'dead',
    () => withHeaders({ ce_id: fourBytes(254), ce_source: fourBytes(255) }),
  ],
  ['a source of 255 characters of four bytes', 'handled', () => withHeaders({ ce_source: fourBytes(255) })],
  ['a source with a control character', 'dead', () => withHeaders({ ce_source: 'a\tb' })],
  ['a type with a control character', 'dead', () => withHeaders({ ce_type: 'Counted\u0001' })],
  ['an unknown version of CloudEvents', 'dead', () => withHeaders({ ce_specversion: '0.3' })],
  ['a repeated header', 'handled', () => withHeaders({ ce_type: ['Nothing', 'Counted'] })],
  ['a header with zero bytes', 'handled', () => withHeaders({ 'x\0y': 'a\0b' })],
  [
    'header names that objects inherit',
    'handled',
    () => withHeaders({ ['__proto__']: 'a', constructor: 'b', toString: 'c' }),
  ],
  [
    'header names in other cases',
    'handled',
    () => withHeaders({ CE_ID: 'a', Ce_Type: 'b', 'CONTENT-TYPE': 'text/plain' }),
  ],
  ['a header of a megabyte', 'handled', () => withHeaders({ x: 'x'.repeat(1_000_000) })],
  [
    'fifty thousand headers',
    'handled',
    () => withHeaders(Object.fromEntries(Array.from({ length: 50_000 }, (_, n) => [`h${n}`, ''] as const))),
  ],
  [
    'one header two hundred thousand times',
    'handled',
    () => withHeaders({ x: Array.from({ length: 200_000 }, () => '') }),
  ],
  [
    'a dead letter with fifty thousand headers',
    'dead',
    () =>
      counted(1, {
        key: null,
        headers: Object.fromEntries(Array.from({ length: 50_000 }, (_, n) => [`h\0${n}`, '\0'] as const)),
      }),
  ],
  ['a sequence that is not a number', 'handled', () => withHeaders({ ce_sequence: 'one' })],
  ['a sequence beyond all integers', 'handled', () => withHeaders({ ce_sequence: '9'.repeat(400) })],
  ['an invalid content type', 'handled', () => withHeaders({ 'content-type': '\0;;="' })],
  ['an invalid dataschema', 'handled', () => withHeaders({ ce_dataschema: `urn:event:${':1'.repeat(100_000)}x` })],
  ['an invalid time', 'handled', () => withHeaders({ ce_time: 'soon' })],
  ['no timestamp', 'handled', () => counted(1, { timestamp: '-1' })],
  ['the timestamp 0', 'handled', () => counted(1, { timestamp: '0' })],
  ['a timestamp beyond the range of Date', 'handled', () => counted(1, { timestamp: '8640000000000001' })],
  ['the largest timestamp', 'handled', () => counted(1, { timestamp: '9223372036854775807' })],
  [
    'a dead letter with the last timestamp of Date',
    'dead',
    () => counted(1, { timestamp: '8640000000000000', key: null }),
  ],
  [
    'a dead letter with the largest timestamp',
    'dead',
    () => counted(1, { timestamp: '9223372036854775807', key: null }),
  ],
  ['a dead letter without a timestamp', 'dead', () => counted(1, { timestamp: '-1', key: null })],
  ['no value', 'dead', () => counted(1, { value: null })],
  ['an empty value', 'dead', () => counted(1, { value: '' })],
  ['a value that is not UTF-8', 'dead', () => counted(1, { value: Buffer.from([0xff, 0x00, 0x7b]) })],
  ['a byte order mark', 'handled', () => counted(1, { value: '\uFEFF{"n":1}' })],
  ['a value of eight megabytes', 'handled', () => counted(1, { value: `{"n":1,"a":"${'x'.repeat(8_000_000)}"}` })],
  [
    'deeply nested arrays',
    'dead',
    () => counted(1, { value: `{"n":1,"a":${'['.repeat(400_000)}${']'.repeat(400_000)}}` }),
  ],
  [
    'deeply nested objects',
    'dead',
    () => counted(1, { value: `{"n":1,"a":${'{"a":'.repeat(150_000)}1${'}'.repeat(150_000)}}` }),
  ],
  [
    'half a million fields',
    'dead',
    () =>
      counted(1, { value: `{"n":1${Array.from({ length: 500_000 }, (_, n) => `,"${n.toString(36)}x":1`).join('')}}` }),
  ],
  ['a number beyond the range of doubles', 'dead', () => counted(1, { value: '{"n":1e999}' })],
  ['a repeated field', 'handled', () => counted(1, { value: '{"n":"one","n":1}' })],
  [
    'fields that would pollute a prototype',
    'handled',
    () => counted(1, { value: '{"n":1,"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}' }),
  ],
  [
    'texts with zero bytes and lone surrogates',
    'handled',
    () => counted(1, { value: String.raw`{"n":1,"a":"\u0000\ud800","\u0000":1}` }),
  ],
  [
    'an event in structured mode',
    'handled',
    () => structured({ ...anEvent(), data: { n: 1 } }, 'Application/CloudEvents+JSON; charset="UTF-8"'),
  ],
  [
    'a lone surrogate in the id of a structured event',
    'dead',
    () => structured({ ...anEvent(), id: '\uD800', data: { n: 1 } }),
  ],
  [
    'a zero byte in the source of a structured event',
    'dead',
    () => structured({ ...anEvent(), source: 'a\0', data: { n: 1 } }),
  ],
  ['a structured event whose id is a number', 'dead', () => structured({ ...anEvent(), id: 7, data: { n: 1 } })],
  ['a batch of events', 'dead', () => structured([anEvent()], 'application/cloudevents-batch+json')],
];

beforeEach(async () => {
  sandbox = await createSandbox();
  await takeEverything();
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  CounterController.next = () => undefined;
});

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await sandbox.close();
});

describe('a message of another producer', () => {
  it.each([{ groupCommit: false }, { groupCommit: true }])(
    'P5 is handled or becomes a dead letter at once, and later messages are handled: %j',
    async (options) => {
      const app = await start(options);

      await send(...cases.map(recordOf));
      await send(counted(2, { key: 'after' }));
      await until(
        'all are handled or parked',
        async () => (await effects()).length + (await parked()).length === cases.length + 1,
      );

      const letters = cases.filter(([, outcome]) => outcome === 'dead').map(([name]) => name);
      const rows = await parked();
      // The offsets identify the cases.
      expect(rows.map(({ offset }) => cases[Number(offset)]?.[0])).toEqual(letters);
      expect(rows.every(({ dead_at, attempts }) => dead_at !== null && attempts === 0)).toBe(true);
      expect(await effects()).toHaveLength(cases.length - letters.length + 1);
      expect(inboxHealth(app)).toMatchObject({ healthy: true, joins: 1, failedAttempts: 0, parked: 0 });
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    },
  );

  it('P5 can be listed, inspected, retried and discarded as a dead letter', async () => {
    await start();
    const poison = cases.filter(([, outcome]) => outcome === 'dead');
    await send(...poison.map(recordOf));
    await until('all are dead', async () => (await parked()).length === poison.length);
    const { deadLetters } = sandbox;

    const { items } = await deadLetters.list({ box: 'inbox' }, { limit: 500 });
    const whole = await Promise.all(items.map(({ id }) => deadLetters.find('inbox', id)));
    const retried = await deadLetters.retry({ box: 'inbox', all: true }, { actor: 'ann' });
    await until('all are dead again', async () =>
      (await parked()).every(({ dead_at, next_attempt_at }) => dead_at !== null && next_attempt_at === null),
    );
    const discarded = await deadLetters.discard({ box: 'inbox', all: true }, { actor: 'ann', reason: 'foreign' });

    expect(items).toHaveLength(poison.length);
    expect(whole.every((letter) => letter !== undefined)).toBe(true);
    expect([retried, discarded]).toEqual([poison.length, poison.length]);
    expect(await parked()).toEqual([]);
  });

  it('P3 holds back later messages of its key, even one of 255 characters, while it is parked', async () => {
    const key = fourBytes(255);
    CounterController.next = (n) => {
      if (n === 1) throw new Error('not yet');
    };
    await start();

    await send(counted(1, { key }), counted(2, { key }), counted(3, { key: 'after' }));
    await until('its messages are parked', async () => (await parked()).length === 2);
    await until('the next message is handled', async () => (await effects()).length > 0);

    expect(await effects()).toEqual([{ key: 'after', n: 3 }]);
    expect(await parked()).toMatchObject([{ attempts: 1 }, { attempts: 0 }]);
  });

  it('P4 is the same message in structured and in binary mode', async () => {
    const app = await start();
    const event = anEvent();

    await send(structured({ ...event, data: { n: 1 } }));
    await send(counted(1, { headers: { ...envelope(), ce_id: event.id } }), counted(2));
    await until('the next message is handled', async () => (await effects()).some(({ n }) => n === 2));

    expect((await effects()).map(({ n }) => n)).toEqual([1, 2]);
    expect(inboxHealth(app)).toMatchObject({ processed: 2, duplicates: 1 });
  });
});

describe('a message that the outbox accepts', () => {
  it('P2 P4 is handled, even at the limits', async () => {
    const relay = sandbox.newRelay();
    relay.start();
    await start();
    const keys = [fourBytes(255), 'é'.repeat(255), 'a\n\u0001\u0085', ' ', '\uFFFF\uFFFD', '"\\,{}'];
    const outbox = sandbox.outboxOf(relay);
    const data = { n: 1, zero: '\0', half: '\uD800', ['__proto__']: { a: 1 }, text: 'x'.repeat(500_000) };

    for (const aggregateId of keys) {
      await sandbox.dataSource.transaction((tx) =>
        outbox.add(tx, { aggregateType: 'counter', aggregateId, version: 1 }, [{ type: 'Counted', data }]),
      );
    }
    await until('all are handled', async () => (await effects()).length === keys.length);

    expect((await effects()).map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
    expect(await parked()).toEqual([]);
  });
});
