import { IsInt } from 'class-validator';
import fc from 'fast-check';
import { type KafkaRecord } from './message.js';
import { readMessage } from './read-message.js';
import { upcaster } from './topic.js';
import { UNDECODABLE_BATCH } from './undecodable-batch.js';

class Counted {
  static readonly version = 1;

  @IsInt() readonly n!: number;
}

const contract = { name: 'counts', aggregateType: 'counter', partitions: 1, retentionMs: 1, events: { Counted } };
const headers = { ce_specversion: '1.0', ce_id: 'id', ce_type: 'Counted', ce_source: '/test' };

function aRecord(fields: Partial<KafkaRecord> = {}): KafkaRecord {
  const [key, value] = [Buffer.from('a'), Buffer.from('{"n":1}')];
  return { topic: 'counts', partition: 0, offset: '7', timestamp: new Date(5), key, value, headers, ...fields };
}

describe('a record that cannot be read', () => {
  it('is reported with the reason of its undecodable batch before any other', () => {
    const reading = readMessage(aRecord({ headers: { [UNDECODABLE_BATCH]: 'cannot decode it' }, key: null }), contract);

    expect(reading).toEqual({ readable: false, sound: false, reason: 'cannot decode it' });
  });

  it.each([
    ['its attributes', { headers: { ...headers, ce_source: '' }, key: null, value: null }, 'header missing: ce_source'],
    ['its type', { headers: { ...headers, ce_type: 'Later' }, key: null }, 'does not define the type'],
    ['its key', { key: null, value: null }, 'the record has no key'],
    ['its value', { value: null }, 'the record has no value (a tombstone)'],
    ['its JSON', { value: Buffer.from('[1]') }, 'the value is not a JSON object in UTF-8'],
  ])('is reported by the first of its flaws, here %s', (_, fields, reason) => {
    expect(readMessage(aRecord(fields), contract)).toMatchObject({
      readable: false,
      sound: false,
      reason: expect.stringContaining(reason),
    });
  });

  it.each(['toString', '__proto__', 'constructor'])('has an unknown type if that is %s', (ce_type) => {
    expect(readMessage(aRecord({ headers: { ...headers, ce_type } }), contract)).toMatchObject({ unknownType: true });
  });

  it('P3 keeps its place in its key if only its data violates the contract', () => {
    expect(readMessage(aRecord({ value: Buffer.from('{"n":"one"}') }), contract)).toMatchObject({
      readable: false,
      sound: true,
      id: 'id',
      source: '/test',
    });
  });

  it('has a reason of bounded length, however much is wrong', () => {
    class Verbose extends Counted {
      static readonly upcasters = {
        0: upcaster(Counted, () => {
          throw new Error('x'.repeat(10_000));
        }),
      };
    }
    const old = { ...headers, ce_dataschema: 'urn:event:Counted:0' };
    const reading = readMessage(aRecord({ headers: old }), { ...contract, events: { Counted: Verbose } });

    expect(reading).toMatchObject({ sound: true });
    expect(!reading.readable && reading.reason.length).toBeLessThan(2100);
  });
});

describe('the sequence of a message', () => {
  const sequenceOf = (ce_sequence: string) => {
    const reading = readMessage(aRecord({ headers: { ...headers, ce_sequence } }), contract);
    return reading.readable ? reading.message.sequence : undefined;
  };

  it('is every integer that JavaScript represents exactly', () => {
    fc.assert(fc.property(fc.maxSafeInteger(), (n) => sequenceOf(String(n)) === n));
  });

  it('is unknown if JavaScript would round it', () => {
    const tooBig = fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n });
    fc.assert(fc.property(tooBig, (n) => sequenceOf(String(n)) === undefined && sequenceOf(`-${n}`) === undefined));
  });
});
