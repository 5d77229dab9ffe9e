import { type Facts, nameOf, type OutboxFact } from './facts.js';
import { ORDER, PAYMENT_REQUEST } from './judge-orders.js';
import { type LoggedRecord } from './topic-log.js';

/** P1 and P2: the state tells which events there must be. */
export function eventsAreOnTopics({ orders, paymentRequests, records }: Facts): string[] {
  const raised = new Set<string>();
  const expect = (topic: string, key: string, events: Readonly<Record<string, number>> = {}) => {
    for (const type of Object.keys(events)) raised.add(nameOf({ topic, key, type }));
  };
  for (const { id, status } of orders) expect('order.events', id, ORDER[status]?.events);
  for (const { orderId, status } of paymentRequests) expect('payment.events', orderId, PAYMENT_REQUEST[status]?.events);
  const there = new Set(records.map(nameOf));
  return [
    ...[...raised].filter((event) => !there.has(event)).map((event) => `${event} never reached its topic`),
    ...[...there].filter((event) => !raised.has(event)).map((event) => `${event} was raised by nothing that is there`),
  ];
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
