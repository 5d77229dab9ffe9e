import { IsInt } from 'class-validator';
import fc from 'fast-check';
import { readMessage } from '../message/read-message.js';
import { aRow, publishedRecord } from '../../test/published-record.js';
import { estimatedBytes, writeBatch } from './batch-writer.js';
import { RecordHeaders } from './record-headers.js';
import { RequestBuffer } from './request-buffer.js';

class Counted {
  static readonly version = 2;

  @IsInt() readonly n!: number;
}

const contract = { name: 'counts', aggregateType: 'counter', partitions: 1, retentionMs: 1, events: { Counted } };

describe('a record of a row', () => {
  it('is what an inbox reads', () => {
    const keys = fc.oneof(fc.string({ minLength: 1 }), fc.string({ unit: 'grapheme', minLength: 1 }));
    const dataschema = 'urn:event:Counted:2';
    fc.assert(
      fc.property(fc.integer(), fc.uuid({ version: 7 }), keys, fc.nat(), fc.string(), (n, id, key, sequence, text) => {
        const payload = JSON.stringify({ text, n });
        const row = aRow({ id, aggregateid: key, dataschema, sequence: String(sequence), payload });

        const reading = readMessage(publishedRecord(row, '/source'), contract);

        const message = { id, key, sequence, source: '/source', type: 'Counted', data: { n } };
        expect(reading).toMatchObject({ readable: true, message });
      }),
    );
  });

  it('has the time of the event as its timestamp, or as a header if Kafka rejects such timestamps', () => {
    const row = aRow({ timestamp: '1700000000123' });

    expect(publishedRecord(row)).toMatchObject({ timestamp: new Date(1_700_000_000_123) });
    expect(publishedRecord(row).headers).not.toHaveProperty('ce_time');
    const untimed = publishedRecord(row, '/test', false);
    expect(untimed).toMatchObject({ timestamp: new Date(-1), headers: { ce_time: '2023-11-14T22:13:20.123Z' } });
  });
});

describe('the trace context of a row', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  it('is sent as the headers traceparent and tracestate, which an inbox reads', () => {
    const row = aRow({ traceparent, tracestate: 'vendor=a' });

    const record = publishedRecord(row);

    expect(record.headers).toMatchObject({ traceparent, tracestate: 'vendor=a' });
    expect(readMessage(record, contract)).toMatchObject({
      message: { trace: { traceparent, tracestate: 'vendor=a' } },
    });
  });

  it('adds no header without a trace, and no tracestate without a state', () => {
    const untraced = Object.keys(publishedRecord(aRow({ traceparent: null, tracestate: 'vendor=a' })).headers);

    expect(untraced).toHaveLength(7);
    expect(Object.keys(publishedRecord(aRow({ traceparent })).headers)).toEqual([...untraced, 'traceparent']);
  });
});

describe('the estimated size of a batch', () => {
  it('is enough to write rows in ASCII without a larger buffer', () => {
    const ascii = fc.string({ unit: 'grapheme-ascii', maxLength: 2000 });
    const timestamp = fc.nat().map(String);
    const sequence = fc.maxSafeNat().map(String);
    const traceparent = fc.option(fc.string({ unit: 'grapheme-ascii', maxLength: 55 }));
    const tracestate = fc.option(fc.string({ unit: 'grapheme-ascii', maxLength: 512 }));
    const fields = fc.record({ aggregateid: ascii, payload: ascii, timestamp, sequence, traceparent, tracestate });
    fc.assert(
      fc.property(fc.array(fields, { minLength: 1 }), fc.boolean(), (all, timed) => {
        const rows = all.map((some) => aRow(some));
        const format = { headers: new RecordHeaders('/test'), timed };
        const bytes = Buffer.alloc(estimatedBytes(rows, format));
        const out = new RequestBuffer(bytes, 0);

        writeBatch(out, rows, format, { producerId: 1n, producerEpoch: 0, firstSequence: 0 });

        expect(out.bytes).toBe(bytes);
      }),
    );
  });
});
