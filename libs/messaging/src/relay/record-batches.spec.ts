import { type OutboxRow } from '../message/message.js';
import { type TopicContract } from '../message/topic.js';
import { RecordBatches } from './record-batches.js';

const KIB = 1024;
const topic = { name: 't', aggregateType: 'counter', partitions: 1, retentionMs: 1, events: {} } as TopicContract;

const batches = () => new RecordBatches(new Map([['counter', topic]]));

/** A row of one partition, with a payload of about so many KiB. */
const row = (kib: number) =>
  ({ aggregatetype: 'counter', aggregateid: 'a', payload: 'x'.repeat(kib * KIB - 512) }) as OutboxRow;

const sizesOf = (split: RecordBatches, rows: readonly OutboxRow[]) => [...split.of(rows)].map((batch) => batch.length);

describe('P8 batches of records', () => {
  it('end before one partition would get more than the broker accepts', () => {
    expect(sizesOf(batches(), [row(300), row(300), row(300), row(300), row(300)])).toEqual([2, 2, 1]);
  });

  it('hold a message that is larger than the limit on its own', () => {
    expect(sizesOf(batches(), [row(10), row(900), row(10)])).toEqual([1, 1, 1]);
  });

  it('are none without rows', () => {
    expect(sizesOf(batches(), [])).toEqual([]);
  });

  it('become half as large as a batch that the broker rejected, but not smaller than 16 KiB', () => {
    const split = batches();
    const rows = Array.from({ length: 8 }, () => row(50));

    split.tooLarge(rows);
    expect(sizesOf(split, rows)).toEqual([4, 4]);

    for (let n = 0; n < 10; n++) split.tooLarge(rows);
    expect(sizesOf(split, [row(8), row(8), row(8)])).toEqual([2, 1]);
  });

  it('grow again after a thousand sends that the broker accepted', () => {
    const split = batches();
    const rows = Array.from({ length: 8 }, () => row(50));
    split.tooLarge(rows);

    for (let n = 1; n < 1000; n++) split.accepted();
    expect(sizesOf(split, rows)).toEqual([4, 4]);
    split.accepted();

    expect(sizesOf(split, rows)).toEqual([8]);
  });
});
