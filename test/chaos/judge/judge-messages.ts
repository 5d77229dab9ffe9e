import { type Facts, nameOf, type OutboxFact, type StepFact } from './facts.js';
import { PUBLISHED } from './judge-timelines.js';
import { type LoggedRecord } from '../system/topic-log.js';

/** P1 and P2: each published step of a timeline has its event on the topic, with the version of its order or payment. */
export function eventsAreOnTopics({ orderSteps, paymentSteps, records }: Facts): string[] {
  const raised = new Set([...raisedBy(orderSteps, 'order.events'), ...raisedBy(paymentSteps, 'payment.events')]);
  const there = new Set(records.map(versioned));
  return [
    ...[...raised].filter((event) => !there.has(event)).map((event) => `${event} never reached its topic`),
    ...[...there]
      .filter((event) => !raised.has(event))
      .map((event) => `${event} was published without a step that raises it`),
  ];
}

function raisedBy(steps: readonly StepFact[], topic: string): string[] {
  return steps
    .filter(({ type }) => PUBLISHED[topic]?.includes(type))
    .map(({ orderId: key, type, version }) => versioned({ topic, key, type, sequence: version ?? 0 }));
}

const versioned = (event: { topic: string; key: string; type: string; sequence: number }) =>
  `${nameOf(event)}, sequence ${event.sequence}`;

/** P4: no event was raised twice, which would show as two ids. */
export function eventsWereRaisedOnce({ records, outbox }: Facts): string[] {
  // Includes messages that are only on the topic or only in the outbox; other checks report those.
  return [...Map.groupBy([...records, ...outbox], nameOf)]
    .map(([event, same]) => ({ event, count: new Set(same.map(({ id }) => id)).size }))
    .filter(({ count }) => count > 1)
    .map(({ event, count }) => `${event} was raised ${count} times`);
}

/** P2: all committed messages have been published, each on the topic of its own service. */
export function outboxesArePublished({ records, outbox }: Facts): string[] {
  const there = new Set(records.map(({ topic, id }) => `${topic} ${id}`));
  return outbox
    .filter(({ topic, id }) => !there.has(`${topic} ${id}`))
    .map((row) => `message ${row.id}, ${nameOf(row)}, is in the outbox but not on its topic`);
}

/** P1: only committed messages have been published, and with the contents that were committed. */
export function topicsMatchOutboxes({ records, outbox }: Facts): string[] {
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
 * P3: the first occurrence of a message must not follow the first occurrence of a later message of the same key. Duplicates may occur
 * anywhere. A later message has a higher version of its aggregate and a higher position, because a key has only one writer at a time.
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
