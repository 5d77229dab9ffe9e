import { Allow } from 'class-validator';
import fc from 'fast-check';
import { type EntityManager, type QueryRunner } from 'typeorm';
import { type AfterCommit } from '../postgres/after-commit.js';
import { PermanentError } from '../errors.js';
import { MAX_PAYLOAD_BYTES } from '../message/limits.js';
import { type KafkaRecord } from '../message/message.js';
import { aRow, publishedRecord } from '../../test/published-record.js';
import { readMessage } from '../message/read-message.js';
import { type MessagingOptions } from '../messaging-options.js';
import { Outbox, type OutboxEvent } from './outbox.js';
import { type EventClass } from '../message/topic.js';

/** Accepts any object. */
class Said {
  static readonly version = 1;

  @Allow() readonly anything: unknown;
}

const contract = {
  name: 'words',
  aggregateType: 'speaker',
  partitions: 1,
  retentionMs: 1,
  events: { Said } as Record<string, EventClass>,
};
const SERVICE = 'speaking';

function anOutbox({ service = SERVICE, events = contract.events, aggregateType = 'speaker' } = {}): Outbox {
  const publishes = [{ ...contract, aggregateType, events }];
  const options = { schema: 'words', service, publishes } as unknown as MessagingOptions;
  return new Outbox(options, { run: () => undefined } as unknown as AfterCommit, () => undefined);
}

interface Given {
  readonly aggregateId?: string;
  readonly version?: number;
  readonly id?: string;
  readonly data?: object;
}

/** Adds an event, and returns the record that the relay makes of the row, as bytes on the topic. */
async function added({ aggregateId = 'ann', version = 1, id, ...given }: Given): Promise<KafkaRecord & { id: string }> {
  let row: unknown[] = [];
  const tx = {
    queryRunner: { isTransactionActive: true } as QueryRunner,
    query: (_: string, columns: unknown[][]) => {
      row = columns.map((column) => column[0]);
      return Promise.resolve([]);
    },
  } as unknown as EntityManager;
  const data = 'data' in given ? given.data : {};
  const event: OutboxEvent = { type: 'Said', data, ...(id !== undefined && { id }) };
  const [givenId = ''] = await anOutbox().add(tx, { aggregateType: 'speaker', aggregateId, version }, [event]);
  const [rowId, aggregatetype, aggregateid, type, dataschema, sequence, payload] = row.map(String) as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const columns = { id: rowId, aggregatetype, aggregateid, type, dataschema, sequence, payload };
  return { ...publishedRecord(aRow(columns), `/${SERVICE}`), topic: contract.name, id: givenId };
}

describe('Outbox.add', () => {
  it('P2 accepts only events that every inbox reads with the same id, key, sequence and data', async () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) }),
      fc.constantFrom(1, 254, 255, 256).chain((n) => fc.constantFrom('k', 'é', '😀', '\uD800').map((c) => c.repeat(n))),
    );
    const number = fc.oneof(fc.maxSafeInteger(), fc.double(), fc.constantFrom(2 ** 53, -(2 ** 53), Number.NaN));
    const data = fc.oneof(
      fc.object({ withNullPrototype: true, withDate: true, withBigInt: true, withMap: true }),
      fc.anything({ withSparseArray: true }).map((anything) => anything as object),
      fc.dictionary(text, fc.oneof(fc.double(), text)),
    );
    const id = fc.option(
      fc.oneof(
        fc.uuid(),
        fc.uuid().map((uuid) => uuid.toUpperCase()),
        text,
      ),
      { nil: undefined },
    );
    let accepted = 0;

    await fc.assert(
      fc.asyncProperty(text, number, data, id, async (aggregateId, version, value, given) => {
        const record = await added({
          aggregateId,
          version,
          data: value,
          ...(given !== undefined && { id: given }),
        }).catch((error: unknown) => error as Error);
        if (record instanceof Error) return;

        accepted++;
        const reading = readMessage(record, contract);
        expect(reading).toMatchObject({
          readable: true,
          message: { id: record.id, key: aggregateId, sequence: version + 0, source: `/${SERVICE}` },
        });
        const read = reading.readable ? reading.message.data : undefined;
        // class-transformer drops fields that could change a prototype or would hide a method that every object inherits.
        const isUnsafe = (key: string) =>
          key === '__proto__' || typeof Reflect.get(Object.prototype, key) === 'function';
        const withoutUnsafe = (json: string) =>
          JSON.parse(json, (key, one: unknown) => (isUnsafe(key) ? undefined : one)) as object;
        expect(JSON.parse(JSON.stringify(read))).toEqual(withoutUnsafe(JSON.stringify(value)));
      }),
      { numRuns: 1000, examples: [['a', 1, { valueOf: [] }, undefined]] },
    );
    expect(accepted).toBeGreaterThan(50);
  });

  const nested = (depth: number) => JSON.parse(`{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`) as object;
  const wide = (n: number) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`${i}_`, 1]));

  it.each<[string, Given]>([
    ['an aggregate id of 255 characters of four bytes', { aggregateId: '😀'.repeat(255) }],
    ['control characters in an aggregate id', { aggregateId: 'a\n\u0001' }],
    ['lone surrogates and zero bytes in its data', { data: { a: '\0\uD800' } }],
    ['data as deep as is allowed', { data: nested(500) }],
    ['data with many fields', { data: wide(10_000) }],
    ['data of the largest size', { data: { a: 'x'.repeat(MAX_PAYLOAD_BYTES - 8) } }],
    ['null in its data, brackets in its texts', { data: { a: null, b: '[{'.repeat(1000), c: new Date(Number.NaN) } }],
  ])('P2 accepts %s, and so does every inbox', async (_, given) => {
    expect(readMessage(await added(given), contract)).toMatchObject({ readable: true });
  });

  it.each<[string, Given, string]>([
    ['an empty aggregate id', { aggregateId: '' }, 'aggregate id of a speaker is empty'],
    ['a zero byte in the aggregate id', { aggregateId: 'a\0' }, 'contains a zero byte'],
    ['half of a surrogate pair in the aggregate id', { aggregateId: '\uD800' }, 'surrogate'],
    ['a long aggregate id', { aggregateId: '😀'.repeat(256) }, 'longer than 255 characters'],
    ['an id that is not a UUID', { id: 'one' }, 'not a UUID'],
    ['a version that is not an integer', { version: 1.5 }, 'safe integer'],
    ['a version beyond all safe integers', { version: 2 ** 53 }, 'safe integer'],
    ['an array as data', { data: [1] }, 'not a JSON object'],
    ['data whose toJSON gives a text', { data: new Date(0) }, 'not a JSON object'],
    ['data without JSON', { data: () => 1 }, 'not a JSON object'],
    ['no data', { data: null as unknown as object }, 'not a JSON object'],
    ['NaN in its data', { data: { a: [{ b: Number.NaN }] } }, 'NaN or infinite'],
    ['an infinite number in its data', { data: { a: -Infinity } }, 'NaN or infinite'],
    ['data that is nested too deeply', { data: nested(501) }, 'nested deeper than 500 levels'],
    ['data with too many fields', { data: wide(30_000) }, 'too many fields'],
    ['too much data', { data: { a: 'x'.repeat(MAX_PAYLOAD_BYTES) } }, `more than ${MAX_PAYLOAD_BYTES}`],
  ])('P5 rejects %s with an error to its writer', async (_, given, message) => {
    const refused = added(given);

    await expect(refused).rejects.toThrow(PermanentError);
    await expect(refused).rejects.toThrow(message);
  });
});

describe('an outbox', () => {
  it.each([
    ['the service', { service: 's'.repeat(255) }],
    ['the service', { service: 'a\tb' }],
    ['The aggregate type', { aggregateType: 'a\0' }],
    ['An event type in the contract', { events: { 'a\tb': Said } }],
    ['An event type in the contract', { events: { '': Said } }],
    ['An event type in the contract', { events: { ['t'.repeat(250)]: Said } }],
  ])('does not start when no inbox would accept the name of %s: %j', (what, options) => {
    expect(() => anOutbox(options)).toThrow(what);
  });
});
