import { createRequire } from 'node:module';
import { jest } from '@jest/globals';
import fc from 'fast-check';
import { type OutboxRow } from '../message/message.js';
import { aRow } from '../../test/published-record.js';
import { patchKafkajs } from './kafkajs-patches.js';
import { partitionRows, PartitionRows, RequestBuffers, TopicRows } from './kafkajs-produce.js';
import { RecordHeaders } from './record-headers.js';

const require = createRequire(import.meta.url);

interface Encoded {
  readonly buffer: Buffer;
}
type Build = (options: object) => { request: { apiVersion: number; encode: () => Promise<Encoded> } };
const createRequest = require('kafkajs/src/protocol/request.js') as (about: object) => Promise<Encoded>;
const groupMessagesPerPartition = require('kafkajs/src/producer/groupMessagesPerPartition.js') as (about: object) => {
  [partition: string]: PartitionRows;
};

const VERSIONS = [3, 4, 5, 6, 7];
function original(version: number): Build {
  const request = require(`kafkajs/src/protocol/requests/produce/v${version}/request.js`) as (
    options: object,
  ) => ReturnType<Build>['request'];
  return (of) => ({ request: request(of) });
}

function patched(version: number): Build {
  const requests = require('kafkajs/src/protocol/requests/produce/index.js') as {
    protocol: (about: { version: number }) => (options: object) => ReturnType<Build>;
  };
  return requests.protocol({ version });
}

beforeAll(() => patchKafkajs());

const headers = new RecordHeaders('/test');

/** The message that kafkajs would send for a row. */
function messageOf(row: OutboxRow, timed: boolean) {
  return {
    key: row.aggregateid,
    value: row.payload,
    timestamp: timed ? row.timestamp : '-1',
    headers: {
      ce_specversion: '1.0',
      ce_id: row.id,
      ce_source: '/test',
      ce_type: row.type,
      ce_dataschema: row.dataschema,
      ce_sequence: row.sequence,
      'content-type': 'application/json',
      ...(!timed && { ce_time: new Date(Number(row.timestamp)).toISOString() }),
      ...(row.traceparent && { traceparent: row.traceparent, ...(row.tracestate && { tracestate: row.tracestate }) }),
    },
  };
}

const anAttempt = () => ({ buffers: new RequestBuffers(), starts: jest.fn(), sends: jest.fn(), writes: jest.fn() });

interface Batch {
  readonly partition: number;
  readonly firstSequence: number;
  readonly rows: readonly OutboxRow[];
}
type Topics = readonly { readonly topic: string; readonly partitions: readonly Batch[] }[];

/** The options of a produce request, with the rows in the form that the two encoders expect. */
function options(topics: Topics, messages: (rows: readonly OutboxRow[]) => unknown) {
  const common = { acks: -1, timeout: 5000, producerId: '4000000000', producerEpoch: 3 };
  const topicData = topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ rows, ...batch }) => ({ ...batch, messages: messages(rows) })),
  }));
  return { ...common, topicData };
}

const text = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary', maxLength: 300 }));
const row: fc.Arbitrary<OutboxRow> = fc
  .record({
    id: fc.uuid(),
    aggregateid: text,
    type: text,
    dataschema: text,
    sequence: fc.maxSafeInteger().map(String),
    payload: fc.tuple(text, fc.nat(20)).map(([part, times]) => part.repeat(times)),
    // kafkajs sorts timestamps as text.
    timestamp: fc.integer({ min: 1_000_000_000_000, max: 9_999_999_999_999 }).map(String),
    traceparent: fc.option(fc.string({ unit: 'grapheme-ascii', maxLength: 55 })),
    tracestate: fc.option(fc.string({ unit: 'grapheme-ascii', maxLength: 512 })),
  })
  .map((fields) => aRow(fields));
const batch = fc.record({
  partition: fc.nat(200),
  firstSequence: fc.nat(2 ** 31 - 1),
  rows: fc.array(row, { minLength: 1, maxLength: 80 }),
});
const topics = fc.array(
  fc.record({ topic: fc.string({ minLength: 1 }), partitions: fc.array(batch, { minLength: 1, maxLength: 3 }) }),
  { minLength: 1, maxLength: 2 },
);

describe('a produce request', () => {
  it.each(VERSIONS)('of version %s has the bytes that kafkajs would send', async (version) => {
    await fc.assert(
      fc.asyncProperty(topics, fc.boolean(), fc.string(), async (all, timed, clientId) => {
        const attempt = anAttempt();
        const { buffers } = attempt;
        const { sent } = buffers;
        const ours = options(all, (rows) => new PartitionRows([...rows], { headers, timed }, attempt, sent));
        const theirs = options(all, (rows) => rows.map((one) => messageOf(one, timed)));
        const frame = async (build: Build, of: object) =>
          (await createRequest({ correlationId: 5, clientId, request: build(of).request })).buffer;

        const expected = await frame(original(version), theirs);

        expect((await frame(patched(version), ours)).equals(expected)).toBe(true);
        // The buffer is used again, with what is left in it.
        for (const bytes of sent) bytes.fill(0xff);
        buffers.answered();
        expect((await frame(patched(version), ours)).equals(expected)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  it('is framed by kafkajs if the client id does not fit into the room in front', async () => {
    const clientId = 'c'.repeat(600);
    const topic = [{ topic: 't', partitions: [{ partition: 0, firstSequence: 0, rows: [aRow()] }] }];
    const ours = options(topic, (rows) => new PartitionRows([...rows], { headers, timed: true }, anAttempt(), []));
    const theirs = options(topic, (rows) => rows.map((one) => messageOf(one, true)));
    const frame = (of: object, build: Build) =>
      createRequest({ correlationId: 5, clientId, request: build(of).request });

    expect((await frame(ours, patched(7))).buffer).toEqual((await frame(theirs, original(7))).buffer);
  });

  it('with messages of other producers is left to kafkajs', async () => {
    const other = options([{ topic: 't', partitions: [{ partition: 0, firstSequence: 0, rows: [aRow()] }] }], (rows) =>
      rows.map((one) => messageOf(one, true)),
    );

    const [ours, theirs] = await Promise.all(
      [patched(7), original(7)].map(async (build) => build(other).request.encode()),
    );

    expect(ours?.buffer).toEqual(theirs?.buffer);
  });

  it('requires a broker that supports record batches', () => {
    const rows = new PartitionRows([aRow()], { headers, timed: true }, anAttempt(), []);
    const ours = options([{ topic: 't', partitions: [{ partition: 0, firstSequence: 0, rows: [] }] }], () => rows);

    expect(() => patched(2)(ours)).toThrow('Kafka is too old');
  });
});

describe('the rows of a topic', () => {
  const group = (rows: TopicRows, partitions: number) =>
    groupMessagesPerPartition({
      topic: 't',
      partitionMetadata: Array.from({ length: partitions }, (_, partitionId) => ({ partitionId })),
      messages: rows,
      partitioner: partitionRows,
    });

  it('P3 are grouped by the partition of their key, in order, each time that kafkajs tries', () => {
    const tried = anAttempt();
    const rows = Array.from({ length: 20 }, (_, n) => aRow({ position: String(n), aggregateid: `key ${n % 7}` }));
    const topicRows = new TopicRows(rows, { headers, timed: true }, tried);

    for (const times of [1, 2]) {
      const groups = group(topicRows, 4);

      expect(Object.values(groups).reduce((sum, { length }) => sum + length, 0)).toBe(20);
      for (const [partition, { rows: some }] of Object.entries(groups)) {
        expect(some).toEqual(rows.filter((one) => one.partition === Number(partition)));
        expect(tried.sends).toHaveBeenCalledWith('t', partition);
      }
      expect(tried.starts.mock.calls).toEqual(Array.from({ length: times }, () => ['t', 4]));
    }
  });

  it('are not sent if the attempt may not start', () => {
    const lost = anAttempt();
    lost.starts.mockImplementation(() => {
      throw new Error('the lease was lost');
    });

    expect(() => group(new TopicRows([aRow()], { headers, timed: true }, lost), 4)).toThrow('the lease was lost');
    expect(lost.sends).not.toHaveBeenCalled();
  });
});

describe('the buffers of requests', () => {
  /** Takes a buffer as a request of the present attempt does. */
  const sent = (buffers: RequestBuffers, size = 2000) => {
    const { bytes } = buffers.take(size);
    buffers.sent.push(bytes);
    return bytes;
  };

  it('are used again once all requests were answered', () => {
    const buffers = new RequestBuffers();
    const first = sent(buffers);
    const second = sent(buffers);
    expect(second).not.toBe(first);

    buffers.answered();

    expect([sent(buffers), sent(buffers)].every((bytes) => bytes === first || bytes === second)).toBe(true);
    expect([first, second]).not.toContain(sent(buffers));
  });

  it('are never used again after an attempt that failed, even by a request of it that was late', () => {
    const buffers = new RequestBuffers();
    const { sent: failed } = buffers;
    const early = sent(buffers);

    buffers.begin();
    const late = buffers.take(2000).bytes;
    failed.push(late);
    const second = sent(buffers);
    buffers.answered();

    const taken = sent(buffers);
    expect(taken).toBe(second);
    const next = sent(buffers);
    for (const bytes of [early, late, second]) expect(next).not.toBe(bytes);
  });

  it('P7 are not kept if they are very large', () => {
    const buffers = new RequestBuffers();
    const large = sent(buffers, 20_000_000);

    buffers.answered();

    expect(sent(buffers)).not.toBe(large);
  });
});
