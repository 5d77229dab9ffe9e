import fc from 'fast-check';
import { type KafkaRecord } from '../message/message.js';
import { PartitionMarks, type Suspicion } from './partition-marks.js';

const aRecord = (offset: number, ms = offset): KafkaRecord => ({
  topic: 'counts',
  partition: 0,
  offset: String(offset),
  timestamp: new Date(ms),
  key: null,
  value: null,
  headers: {},
});

/** A suspicion about a range of offsets, by default from a mark without timestamps. */
const suspicion = (first: number, last: number, from?: number, to?: number): Suspicion => ({
  id: `${first}-${last}`,
  first: BigInt(first),
  last: BigInt(last),
  from: from === undefined ? null : new Date(from),
  to: to === undefined ? null : new Date(to),
});

const offsetsOf = (marks: PartitionMarks, records: readonly KafkaRecord[]) =>
  marks.runs(records).map(({ suspect, records: run }) => [suspect, ...run.map(({ offset }) => Number(offset))]);

describe('the runs of a batch', () => {
  const batch = [1, 2, 3, 4, 5, 6].map((offset) => aRecord(offset));

  it('are one run while nothing is suspect', () => {
    expect(offsetsOf(new PartitionMarks([], []), batch)).toEqual([[false, 1, 2, 3, 4, 5, 6]]);
  });

  it('are none for an empty batch', () => {
    expect(new PartitionMarks([], [suspicion(1, 9)]).runs([])).toEqual([]);
  });

  it('P5 separate the records that a dead process had in flight', () => {
    const marks = new PartitionMarks([], [suspicion(2, 3), suspicion(6, 8)]);

    expect(offsetsOf(marks, batch)).toEqual([
      [false, 1],
      [true, 2, 3],
      [false, 4, 5],
      [true, 6],
    ]);
  });

  it('join adjacent suspicions, whatever marks they come from', () => {
    const marks = new PartitionMarks([], [suspicion(4, 5), suspicion(2, 3), suspicion(3, 4)]);

    expect(offsetsOf(marks, batch)).toEqual([
      [false, 1],
      [true, 2, 3, 4, 5],
      [false, 6],
    ]);
  });

  it('suspect a record only if its timestamp matches too, because a recreated topic has the same offsets', () => {
    const marks = new PartitionMarks([], [suspicion(1, 4, 2, 3)]);

    expect(offsetsOf(marks, batch)).toEqual([
      [false, 1],
      [true, 2, 3],
      [false, 4, 5, 6],
    ]);
  });

  it('belong to the partition, whose marks later runs replace', () => {
    const marks = new PartitionMarks(['mine'], [suspicion(2, 2)]);

    expect(marks.runs(batch).every(({ partition }) => partition === marks)).toBe(true);
  });

  const ranges = fc
    .array(fc.tuple(fc.nat(40), fc.nat(8)), { maxLength: 6 })
    .map((pairs) => pairs.map(([first, length]) => suspicion(first, first + length)));
  const offsets = fc.uniqueArray(fc.nat(50), { maxLength: 30 }).map((all) => all.toSorted((a, b) => a - b));

  it('contain every record once and in order, and alternate between suspect and not', () => {
    fc.assert(
      fc.property(ranges, offsets, (suspicions, all) => {
        const runs = new PartitionMarks([], suspicions).runs(all.map((offset) => aRecord(offset)));

        expect(runs.flatMap(({ records }) => records.map(({ offset }) => Number(offset)))).toEqual(all);
        for (const [at, { suspect }] of runs.entries()) expect(suspect).not.toBe(runs[at + 1]?.suspect);
      }),
    );
  });

  it('P5 are suspect exactly for the offsets that a suspicion covers', () => {
    fc.assert(
      fc.property(ranges, offsets, (suspicions, all) => {
        const runs = new PartitionMarks([], suspicions).runs(all.map((offset) => aRecord(offset)));
        const suspect = runs.filter((run) => run.suspect).flatMap(({ records }) => records);

        const covered = all.filter((offset) =>
          suspicions.some(({ first, last }) => first <= BigInt(offset) && BigInt(offset) <= last),
        );
        expect(suspect.map(({ offset }) => Number(offset))).toEqual(covered);
      }),
    );
  });
});

describe('suspicions', () => {
  it('are dropped once their last record is settled, and return the ids of their marks once', () => {
    const marks = new PartitionMarks([], [suspicion(1, 3), suspicion(2, 5), suspicion(6, 9)]);

    expect(marks.clearUpTo(aRecord(2))).toEqual([]);
    expect(marks.clearUpTo(aRecord(5))).toEqual(['1-3', '2-5']);
    expect(marks.clearUpTo(aRecord(5))).toEqual([]);
    expect(offsetsOf(marks, [aRecord(3), aRecord(6)])).toEqual([
      [false, 3],
      [true, 6],
    ]);
  });

  it('are compared by exact offsets, beyond those that a number can represent', () => {
    const exact = { ...suspicion(0, 0), first: 9007199254740993n, last: 9007199254740993n };
    const marks = new PartitionMarks([], [exact]);
    const record = { ...aRecord(0), offset: '9007199254740992' };

    expect(marks.runs([record])[0]?.suspect).toBe(false);
    expect(marks.clearUpTo(record)).toEqual([]);
    expect(marks.clearUpTo({ ...record, offset: '9007199254740993' })).toEqual([exact.id]);
  });
});
