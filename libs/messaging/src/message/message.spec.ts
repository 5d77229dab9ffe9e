import { IsInt } from 'class-validator';
import fc from 'fast-check';
import { recordTime } from './event-time.js';
import { type KafkaRecord } from './message.js';
import { readMessage } from './read-message.js';
import { upcaster } from './topic.js';

class Counted {
  static readonly version = 2;

  @IsInt() readonly n!: number;
}

const contract = { name: 'counts', aggregateType: 'counter', partitions: 1, retentionMs: 1, events: { Counted } };

function aRecord(fields: Partial<KafkaRecord> = {}): KafkaRecord {
  return {
    topic: 'counts',
    partition: 0,
    offset: '7',
    timestamp: new Date(0),
    key: Buffer.from('a'),
    value: Buffer.from('{"n":1}'),
    headers: { ce_specversion: '1.0', ce_id: 'id', ce_type: 'Counted', ce_source: '/test', ce_sequence: '3' },
    ...fields,
  };
}

describe('readMessage', () => {
  it('reads the envelope, and the data as an instance of its class', () => {
    const reading = readMessage(aRecord(), contract);

    expect(reading).toMatchObject({
      readable: true,
      message: { id: 'id', type: 'Counted', source: '/test', key: 'a', sequence: 3, offset: '7', data: { n: 1 } },
    });
    expect(reading.readable && reading.message.data).toBeInstanceOf(Counted);
  });

  it('allows fields that the contract does not define, because a newer publisher may send them', () => {
    const value = Buffer.from('{"n":1,"later":{"field":[true]}}');

    expect(readMessage(aRecord({ value }), contract)).toMatchObject({ readable: true });
  });

  it('does not require a sequence', () => {
    const { ce_sequence: _, ...headers } = aRecord().headers;

    const reading = readMessage(aRecord({ headers }), contract);

    expect(reading).toMatchObject({ readable: true, message: { sequence: undefined } });
  });

  it('rejects data that is nested too deeply for the stack', () => {
    const value = Buffer.from(`{"n":1,"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);

    expect(readMessage(aRecord({ value }), contract)).toMatchObject({ readable: false });
  });

  it('reports the violated rules, but never the values', () => {
    const value = Buffer.from('{"n":"secret"}');

    const reading = readMessage(aRecord({ value }), contract);

    expect(reading).toMatchObject({ readable: false, reason: expect.stringContaining('n must be an integer') });
    expect(JSON.stringify(reading)).not.toContain('secret');
  });

  it('uses the time of the event, else the timestamp of its record, else now', () => {
    const timeOf = (ce_time: string, timestamp: string) => {
      const headers = { ...aRecord().headers, ce_time };
      const reading = readMessage(aRecord({ headers, timestamp: recordTime(timestamp) }), contract);
      return reading.readable ? reading.message.time.toISOString() : reading.reason;
    };
    const before = new Date().toISOString();

    expect(timeOf('2026-11-29t20:00:00.123456+01:00', '5')).toBe('2026-11-29T19:00:00.123Z');
    const nonsense = [
      '',
      'soon',
      '2026-11-29',
      '2026-13-29T20:00:00Z',
      '2026-11-29T24:00:00Z',
      '+275760-09-13T00:00:00Z',
    ];
    const missing = [
      '2026-02-30T00:00:00Z',
      '2025-02-29T00:00:00Z',
      '0000-01-01T00:00:00Z',
      '0001-01-01T00:00:00+00:01',
    ];
    for (const none of [...nonsense, ...missing]) expect(timeOf(none, '5')).toBe('1970-01-01T00:00:00.005Z');
    expect(timeOf('', '9223372036854775807')).toBe('9999-12-31T23:59:59.999Z');
    expect(timeOf('2026-11-29T20:00:00Z', '-1')).toBe('2026-11-29T20:00:00.000Z');
    expect(timeOf('', '-1') >= before).toBe(true);
  });

  it.each(['', ' ', '1.5', '0x10', '1e3', '9007199254740992', 'one', '１'])(
    'reads no sequence if ce_sequence is %j',
    (ce_sequence) => {
      const reading = readMessage(aRecord({ headers: { ...aRecord().headers, ce_sequence } }), contract);

      expect(reading).toMatchObject({ readable: true, message: { sequence: undefined } });
    },
  );

  it('distinguishes an invalid event from one whose type the contract does not define, whatever its key and data', () => {
    const headers = { ...aRecord().headers, ce_type: 'Later' };

    expect(readMessage(aRecord({ headers, key: null, value: null }), contract)).toMatchObject({
      readable: false,
      unknownType: true,
      type: 'Later',
    });
    expect(readMessage(aRecord({ headers: { ...headers, ce_id: '' } }), contract)).not.toHaveProperty('unknownType');
    expect(readMessage(aRecord({ headers: { ...headers, ce_type: 'a\tb' } }), contract)).not.toHaveProperty(
      'unknownType',
    );
  });

  it('counts characters as PostgreSQL does', () => {
    const of = (key: string) => readMessage(aRecord({ key: Buffer.from(key) }), contract).readable;

    expect([of('é'.repeat(255)), of('😀'.repeat(255)), of('😀'.repeat(256)), of('k'.repeat(256))]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('never throws, whatever the bytes', () => {
    const bytes = fc.option(fc.uint8Array({ maxLength: 64 }).map((array) => Buffer.from(array)));
    const headers = fc.dictionary(fc.constantFrom('ce_id', 'ce_type', 'ce_source', 'ce_specversion', 'x'), fc.string());

    fc.assert(
      fc.property(bytes, bytes, headers, (key, value, given) => {
        const reading = readMessage(aRecord({ key, value, headers: { ...aRecord().headers, ...given } }), contract);

        expect(typeof reading.readable).toBe('boolean');
      }),
    );
  });
});

describe('structured mode', () => {
  const event = {
    specversion: '1.0',
    id: 'id',
    source: '/test',
    type: 'Counted',
    subject: null,
    time: '2026-11-29T20:00:00Z',
    datacontenttype: 'application/json',
    dataschema: 'urn:event:Counted:2',
    sequence: '3',
    extension: true,
    data: { n: 1 },
  };
  const read = (fields: object, contentType = 'application/cloudevents+json', header = 'content-type') =>
    readMessage(
      aRecord({ headers: { [header]: contentType }, value: Buffer.from(JSON.stringify({ ...event, ...fields })) }),
      contract,
    );

  it.each([
    'application/cloudevents+json',
    'application/cloudevents+json; charset=UTF-8',
    'Application/CloudEvents+JSON;charset="utf-8"',
    ' APPLICATION/CLOUDEVENTS+JSON ; a="; charset=x" ; Charset=utf8',
  ])('reads the whole event from the value: %s', (contentType) => {
    expect(read({}, contentType)).toEqual({
      readable: true,
      message: {
        id: 'id',
        type: 'Counted',
        source: '/test',
        key: 'a',
        sequence: 3,
        time: new Date('2026-11-29T20:00:00Z'),
        topic: 'counts',
        partition: 0,
        offset: '7',
        data: { n: 1 },
      },
    });
  });

  it('matches the header case-insensitively, and ignores the headers of binary mode', () => {
    expect(read({}, undefined, 'Content-Type')).toMatchObject({ readable: true });
    const headers = { ...aRecord().headers, 'content-type': 'application/cloudevents+json', ce_id: 'another' };
    const value = Buffer.from(JSON.stringify(event));

    expect(readMessage(aRecord({ headers, value }), contract)).toMatchObject({ message: { id: 'id' } });
  });

  it('needs only the required attributes', () => {
    const { specversion, id, source, type, data } = event;
    const value = Buffer.from(JSON.stringify({ specversion, id, source, type, data }));
    const headers = { 'content-type': 'application/cloudevents+json' };

    expect(readMessage(aRecord({ headers, value }), contract)).toMatchObject({
      message: { sequence: undefined, time: new Date(0) },
    });
  });

  it('reads other charsets that Node supports, and data in Base64', () => {
    const value = Buffer.from(JSON.stringify({ ...event, id: 'é' }), 'utf16le');
    const headers = { 'content-type': 'application/cloudevents+json; charset=utf-16le' };

    expect(readMessage(aRecord({ headers, value }), contract)).toMatchObject({ message: { id: 'é', data: { n: 1 } } });
    const data_base64 = Buffer.from('{"n":1}').toString('base64');
    expect(read({ data: undefined, data_base64 })).toMatchObject({ message: { data: { n: 1 } } });
    expect(read({ data: null, data_base64 })).toMatchObject({ message: { data: { n: 1 } } });
    expect(read({ sequence: 4 })).toMatchObject({ message: { sequence: 4 } });
  });

  it.each([
    [{ id: undefined }, 'attribute missing: id'],
    [{ id: '', type: null }, 'attribute missing: id, type'],
    [{ id: 7 }, 'attributes that are not strings: id'],
    [{ source: {} }, 'attributes that are not strings: source'],
    [{ type: ['Counted'] }, 'attributes that are not strings: type'],
    [{ time: 0, dataschema: false }, 'attributes that are not strings: time, dataschema'],
    [{ specversion: 1 }, 'attributes that are not strings: specversion'],
    [{ specversion: '0.3' }, 'specversion is not 1.0'],
    [{ id: 'i'.repeat(256) }, 'id is longer than 255 characters'],
    [{ id: 'a\0' }, 'id contains a control character'],
    [{ id: '\uD800' }, 'id is not Unicode text'],
    [{ data: undefined }, 'the data is not a JSON object'],
    [{ data: '{"n":1}' }, 'the data is not a JSON object'],
    [{ data: [1] }, 'the data is not a JSON object'],
    [{ data: undefined, data_base64: 'eyJuIjox!fQ==' }, 'the data is not a JSON object'],
    [{ data_base64: 'eyJuIjoxfQ==' }, 'both data and data_base64'],
    [{ data: { n: 'one' } }, 'the data violates its contract'],
  ])('rejects an event with %j', (fields, reason) => {
    expect(read(fields)).toMatchObject({ readable: false, reason: expect.stringContaining(reason) });
  });

  it.each([
    ['application/cloudevents-batch+json', 'batch'],
    ['application/cloudevents+avro', 'format'],
    ['application/cloudevents', 'format'],
    ['application/cloudevents+json; charset=klingon', 'charset'],
    ['application/cloudevents+json; charset=utf-16le', 'not a JSON object in UTF-16LE'],
  ])('rejects the content type %s with a reason', (contentType, reason) => {
    expect(read({}, contentType)).toMatchObject({ readable: false, reason: expect.stringContaining(reason) });
  });

  it('rejects a value that is not an event', () => {
    const headers = { 'content-type': 'application/cloudevents+json' };
    const reasonOf = (value: Buffer | null) => readMessage(aRecord({ headers, value }), contract);

    expect(reasonOf(null)).toMatchObject({ reason: 'the record has no value (a tombstone)' });
    for (const text of ['', '[]', 'null', '"event"', '{'])
      expect(reasonOf(Buffer.from(text))).toMatchObject({ reason: 'the value is not a JSON object in UTF-8' });
    expect(reasonOf(Buffer.from([0xff]))).toMatchObject({ reason: 'the value is not a JSON object in UTF-8' });
  });

  it('never throws, whatever the event', () => {
    fc.assert(
      fc.property(
        fc.record({ id: fc.jsonValue(), type: fc.jsonValue(), time: fc.jsonValue(), data: fc.jsonValue() }),
        fc.string(),
        (fields, end) => {
          expect(typeof read(fields, `application/cloudevents+json${end}`).readable).toBe('boolean');
        },
      ),
    );
  });
});

describe('hostile data', () => {
  const read = (json: string) => readMessage(aRecord({ value: Buffer.from(json) }), contract);

  it('does not pollute prototypes', () => {
    const reading = read(
      '{"n":1,"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"a":{"__proto__":{"polluted":1}}}',
    );

    const data = reading.readable
      ? (reading.message.data as { a: { polluted?: number }; polluted?: number })
      : undefined;
    expect(data).toBeInstanceOf(Counted);
    expect([data?.polluted, data?.a.polluted, ({} as { polluted?: number }).polluted]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('is rejected if it has so many fields that reading them would block the process', () => {
    const fields = (n: number) => Array.from({ length: n }, (_, i) => `"${i}_":1`).join(',');

    expect(read(`{"n":1,${fields(100_000)}}`)).toMatchObject({
      readable: false,
      sound: true,
      reason: 'the data has too many fields',
    });
    expect(read(`{"n":1,"a":[[{${fields(100_000)}}]]}`)).toMatchObject({
      readable: false,
      reason: 'the data has too many fields',
    });
    expect(read(`{"n":1,${fields(5000)}}`)).toMatchObject({ readable: true });
  });
});

describe('upcasters', () => {
  class RenamedV2 {
    @IsInt() readonly m!: number;
  }
  class Renamed {
    static readonly version = 3;
    static readonly upcasters = {
      1: upcaster(Counted, ({ n }) => ({ m: n })),
      2: upcaster(RenamedV2, ({ m }): Renamed => ({ cents: m * 100 })),
    };

    @IsInt() readonly cents!: number;
  }
  const renamed = { ...contract, events: { Renamed } };
  const of = (version: number, value: string) => {
    const headers = { ...aRecord().headers, ce_type: 'Renamed', ce_dataschema: `urn:event:Renamed:${version}` };
    return readMessage(aRecord({ headers, value: Buffer.from(value) }), renamed);
  };

  it('convert data of any older version to the current one', () => {
    expect(of(1, '{"n":7}')).toMatchObject({ message: { data: { cents: 700 } } });
    expect(of(2, '{"m":7}')).toMatchObject({ message: { data: { cents: 700 } } });
    expect(of(3, '{"cents":7}')).toMatchObject({ message: { data: { cents: 7 } } });
    expect(of(4, '{"cents":7}')).toMatchObject({ message: { data: { cents: 7 } } });
  });

  it('leave a message that violates its own version in its place in its key', () => {
    expect(of(1, '{"n":"seven"}')).toMatchObject({
      readable: false,
      sound: true,
      reason: 'the data violates its contract: n must be an integer number',
    });
    expect(of(1, '{"cents":7}')).toMatchObject({ readable: false, sound: true });
  });
});
