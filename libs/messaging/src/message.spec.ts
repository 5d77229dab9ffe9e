import { IsInt } from 'class-validator';
import fc from 'fast-check';
import { type KafkaRecord, type OutboxRow, readMessage, toRecord } from './message.js';

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

function aRow(fields: Partial<OutboxRow> = {}): OutboxRow {
  return {
    position: '1',
    id: '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d',
    aggregatetype: 'counter',
    aggregateid: 'a',
    type: 'Counted',
    dataschema: 'urn:event:Counted:2',
    sequence: '1',
    payload: '{"n":1}',
    timestamp: '0',
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

  it('lets fields through that the contract does not name: a newer publisher may send them', () => {
    const value = Buffer.from('{"n":1,"later":{"field":[true]}}');

    expect(readMessage(aRecord({ value }), contract)).toMatchObject({ readable: true });
  });

  it('does not need a sequence', () => {
    const { ce_sequence: _, ...headers } = aRecord().headers;

    const reading = readMessage(aRecord({ headers }), contract);

    expect(reading).toMatchObject({ readable: true, message: { sequence: undefined } });
  });

  it('refuses data that is nested too deeply for the stack', () => {
    const value = Buffer.from(`{"n":1,"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);

    expect(readMessage(aRecord({ value }), contract)).toMatchObject({ readable: false });
  });

  it('names the broken rules, and never the values', () => {
    const value = Buffer.from('{"n":"secret"}');

    const reading = readMessage(aRecord({ value }), contract);

    expect(reading).toMatchObject({ readable: false, reason: expect.stringContaining('n must be an integer') });
    expect(JSON.stringify(reading)).not.toContain('secret');
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

describe('upcasters', () => {
  class Renamed {
    static readonly version = 3;
    static readonly upcasters = {
      1: (data: object) => ({ ...data, m: (data as { n: number }).n }),
      2: (data: object) => ({ ...data, m: (data as { m: number }).m * 100 }),
    };

    @IsInt() readonly m!: number;
  }
  const renamed = { ...contract, events: { Renamed } };
  const of = (version: number, value: string) => {
    const headers = { ...aRecord().headers, ce_type: 'Renamed', ce_dataschema: `urn:event:Renamed:${version}` };
    return readMessage(aRecord({ headers, value: Buffer.from(value) }), renamed);
  };

  it('bring data of any older version up to date before it is validated', () => {
    expect(of(1, '{"n":7}')).toMatchObject({ message: { data: { m: 700 } } });
    expect(of(2, '{"m":7}')).toMatchObject({ message: { data: { m: 700 } } });
    expect(of(3, '{"m":7}')).toMatchObject({ message: { data: { m: 7 } } });
    expect(of(4, '{"m":7}')).toMatchObject({ message: { data: { m: 7 } } });
  });

  it('leave what breaks its contract a message with its place in its key', () => {
    expect(of(1, '{"n":"seven"}')).toMatchObject({ readable: false, sound: true });
  });
});

describe('toRecord', () => {
  it('writes what readMessage reads', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.uuid({ version: 7 }),
        fc.string({ minLength: 1 }),
        fc.nat(),
        (n, id, key, sequence) => {
          const row = aRow({ id, aggregateid: key, sequence: String(sequence), payload: JSON.stringify({ n }) });

          const { headers, value, key: sentKey } = toRecord(row, '/test');
          const reading = readMessage(
            aRecord({ key: Buffer.from(sentKey), value: Buffer.from(value), headers }),
            contract,
          );

          expect(reading).toMatchObject({ readable: true, message: { id, sequence, type: 'Counted', data: { n } } });
        },
      ),
    );
  });
});
