import { type PartitionFacts, type PartitionStart, startOf } from './partition-start.js';

type Numbers = { [Field in keyof PartitionFacts]?: number | boolean };

/** Facts about a partition with the offsets 0 to 99. */
function facts(given: Numbers): PartitionFacts {
  const all = { low: 0, high: 100, ...given };
  const entries = Object.entries(all).map(([name, value]) => [name, typeof value === 'number' ? BigInt(value) : value]);
  return Object.fromEntries(entries) as PartitionFacts;
}

function start(next: number, more: { again?: number; missed?: number; anew?: boolean } = {}): PartitionStart {
  const { again = 0, missed = 0, anew = false } = more;
  return { next: BigInt(next), anew, again: BigInt(again), missed: BigInt(missed) };
}

it.each<[string, Numbers, PartitionStart]>([
  ['a new group starts at the beginning', {}, start(0)],
  ['a new group does not count deleted messages as missed', { low: 40 }, start(40)],
  ['a group of a version without offsets in the database continues at Kafka’s offset', { committed: 40 }, start(40)],
  ['a group of such a version has missed deleted messages', { committed: 40, low: 45 }, start(45, { missed: 5 })],
  ['both agree', { committed: 40, marked: true, stored: 40 }, start(40)],
  ['a crash came between the two writes', { committed: 40, marked: true, stored: 50 }, start(40)],
  ['messages settled in the database are not missed', { committed: 40, marked: true, stored: 50, low: 50 }, start(50)],
  ['the database went back', { committed: 40, marked: true, stored: 10 }, start(10, { again: 30 })],
  ['the database went back to before its first offset', { committed: 40, marked: true }, start(0, { again: 40 })],
  [
    'the database went back beyond what Kafka has',
    { committed: 40, marked: true, stored: 10, low: 15 },
    start(15, { again: 25, missed: 5 }),
  ],
  [
    'the database went back before the offset was committed to Kafka',
    { committed: 10, marked: true, stored: 10, known: 30 },
    start(10, { again: 20 }),
  ],
  ['an earlier version has continued meanwhile', { committed: 40, stored: 10 }, start(10)],
  [
    'an earlier version has continued, and Kafka deleted those messages',
    { committed: 40, stored: 10, low: 30 },
    start(30),
  ],
  ['another tool has moved the group back', { committed: 5, stored: 40 }, start(5)],
  ['Kafka’s offset has expired', { stored: 40 }, start(0, { anew: true })],
  [
    'Kafka’s offset has expired, and messages were deleted',
    { stored: 40, low: 60 },
    start(60, { missed: 20, anew: true }),
  ],
  ['nothing is left on the partition', { stored: 40, committed: 40, low: 100 }, start(100, { missed: 60 })],
  ['the group was at the end', { stored: 100, committed: 100, marked: true, low: 100 }, start(100)],
  ['the topic was recreated', { stored: 140, low: 0 }, start(0, { anew: true })],
  [
    'the topic was recreated, and Kafka kept the offset',
    { stored: 40, committed: 140, marked: true },
    start(0, { anew: true }),
  ],
  ['Kafka rejected an offset that it has deleted', { position: 20, low: 50 }, start(50, { missed: 30 })],
  ['Kafka rejected an offset of the previous topic', { position: 120, low: 10 }, start(10, { anew: true })],
  ['the rejected offset had been handled before', { position: 20, stored: 50, low: 50 }, start(50)],
  [
    'the topic was recreated, and now has the offset that Kafka rejected',
    { position: 20, low: 10 },
    start(10, { anew: true }),
  ],
])('%s', (_, given, expected) => {
  expect(startOf(facts(given))).toEqual(expected);
});
