import { writeBatch } from '#src/kafka/batch-writer.js';
import { readHeader, BATCH_HEADER_BYTES } from '#src/kafka/batch-header.js';
import { readRecords } from '#src/kafka/read-records.js';
import { RecordHeaders } from '#src/kafka/record-headers.js';
import { RequestBuffer } from '#src/kafka/request-buffer.js';
import { recordTime } from '#src/message/event-time.js';
import { type KafkaRecord, type OutboxRow } from '#src/message/message.js';

/** Returns a row of the outbox as the relay reads it. */
export function aRow(fields: Partial<OutboxRow> = {}): OutboxRow {
  return {
    position: '1',
    id: '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d',
    aggregatetype: 'counter',
    aggregateid: 'a',
    type: 'Counted',
    dataschema: 'urn:event:Counted:1',
    sequence: '1',
    payload: '{"n":1}',
    timestamp: '0',
    ...fields,
  };
}

/** Writes the rows as a record batch, as the relay does. */
export function batchOfRows(rows: readonly OutboxRow[], source = '/test', timed = true, firstSequence = 0): Buffer {
  const out = new RequestBuffer(Buffer.alloc(0), 0);
  const format = { headers: new RecordHeaders(source), timed };
  writeBatch(out, rows, format, { producerId: 7n, producerEpoch: 1, firstSequence });
  return out.from(0);
}

/** Returns the record that a consumer reads after the relay has published the row. */
export function publishedRecord(row: OutboxRow, source = '/test', timed = true): KafkaRecord {
  const batch = batchOfRows([row], source, timed);
  const [record] = readRecords(batch.subarray(BATCH_HEADER_BYTES), readHeader(batch));
  if (!record) throw new Error('the batch has no record');
  const headers = Object.entries(record.headers ?? {}).map(([name, value]) => [name, String(value)]);
  return {
    topic: row.aggregatetype,
    partition: 0,
    offset: record.offset,
    timestamp: recordTime(record.timestamp),
    key: record.key,
    value: record.value,
    headers: Object.fromEntries(headers) as Record<string, string>,
  };
}
