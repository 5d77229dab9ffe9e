import { type Facts, nameOf, type OutboxFact, type StepFact } from './facts.js';
import { PUBLISHED } from './judge-timelines.js';
import { type LoggedRecord } from './topic-log.js';

/** P1 and P2: the timelines tell which events there must be, and in which version of what they are about. */
export function eventsAreOnTopics({ orderSteps, paymentSteps, records }: Facts): string[] {
  const raised = new Set([...raisedBy(orderSteps, 'order.events'), ...raisedBy(paymentSteps, 'payment.events')]);
  const there = new Set(records.map(versioned));
  return [
    ...[...raised].filter((event) => !there.has(event)).map((event) => `${event}, never reached its topic`),
    ...[...there].filter((event) => !raised.has(event)).map((event) => `${event}, was raised by nothing that is there`),
  ];
}

function raisedBy(steps: readonly StepFact[], topic: string): string[] {
  return steps
    .filter(({ type }) => PUBLISHED[topic]?.includes(type))
    .map(({ orderId: key, type, version }) => versioned({ topic, key, type, sequence: version ?? 0 }));
}

const versioned = (event: { topic: string; key: string; type: string; sequence: number }) =>
  `${nameOf(event)}, sequence ${event.sequence}`;

/** P4: an event that was raised twice has two ids. */
export function eventsWereRaisedOnce({ records, outbox }: Facts): string[] {
  // Committed or published: a message may be in one of the two only, which is for other checks to find.
  return [...Map.groupBy([...records, ...outbox], nameOf)]
    .map(([event, same]) => ({ event, count: new Set(same.map(({ id }) => id)).size }))
    .filter(({ count }) => count > 1)
    .map(({ event, count }) => `${event} was raised ${count} times`);
}

/** P2: whatever was committed is published, on the topic of its own service. */
export function outboxesAreOnTopics({ records, outbox }: Facts): string[] {
  const there = new Set(records.map(({ topic, id }) => `${topic} ${id}`));
  return outbox
    .filter(({ topic, id }) => !there.has(`${topic} ${id}`))
    .map((row) => `message ${row.id}, ${nameOf(row)}, is in the outbox and not on its topic`);
}

/** P1: nothing was published that nobody committed, and what was is what was committed. */
export function topicsAreFromOutboxes({ records, outbox }: Facts): string[] {
  const committed = new Map(outbox.map((row) => [`${row.topic} ${row.id}`, row]));
  const same = (record: LoggedRecord, row: OutboxFact) =>
    record.key === row.key && record.type === row.type && record.sequence === row.sequence;
  return records.flatMap((record) => {
    const row = committed.get(`${record.topic} ${record.id}`);
    if (row && same(record, row)) return [];
    const place = `at ${record.partition}/${record.offset}`;
    return row
      ? [`message ${record.id}, ${nameOf(record)}, ${place}, was committed as ${nameOf(row)}, sequence ${row.sequence}`]
      : [`message ${record.id}, ${nameOf(record)}, ${place}, is in no outbox`];
  });
}

/**
 * P3: a first occurrence behind the first occurrence of a later message of its key. Duplicates may stand anywhere. Later is
 * what has the higher version of its aggregate, and what was committed later: its position tells, as one key has one writer
 * at a time.
 */
export function inversions({ records, outbox }: Facts): string[] {
  const positions = new Map(outbox.map(({ topic, id, position }) => [`${topic} ${id}`, position]));
  return [...Map.groupBy(records, ({ topic, key }) => `${key} on ${topic}`)].flatMap(([name, ofKey]) => {
    const partitions = new Set(ofKey.map(({ partition }) => partition));
    if (partitions.size > 1) return [`the messages of ${name} are spread over ${partitions.size} partitions`];
    const firsts = new Map<string, LoggedRecord>();
    for (const record of ofKey.toSorted((a, b) => a.offset - b.offset))
      if (!firsts.has(record.id)) firsts.set(record.id, record);
    let latest = { sequence: -Infinity, position: -Infinity };
    return [...firsts.values()].flatMap(({ topic, id, sequence, type, partition, offset }) => {
      const position = positions.get(`${topic} ${id}`) ?? latest.position;
      const isBehind = !(sequence > latest.sequence) || position < latest.position;
      latest = {
        sequence: Math.max(latest.sequence, sequence),
        position: Math.max(latest.position, position),
      };
      return isBehind ? [`${type} of ${name}, at ${partition}/${offset}, is behind a later message`] : [];
    });
  });
}
