import { randomUUID } from 'node:crypto';
import { type OutboxRow } from '../message/message.js';
import { testBrokers } from '../testing/database.js';
import { runJava, runsJava } from '../../test/java.js';
import { aRow } from '../../test/published-record.js';
import { connectProducer } from './producer.js';
import { createTopics } from './topics.js';

const PARTITIONS = 3;

const brokers = testBrokers();
const TEXTS = ['', 'plain', 'Größe', '日本語', '😀', 'é'.repeat(9000)];

function someRows(): OutboxRow[] {
  return Array.from({ length: 300 }, (_, n) =>
    aRow({
      id: randomUUID(),
      aggregateid: `key ${n % 11} ${TEXTS[n % 5]}`,
      type: n % 2 === 0 ? 'Counted' : 'Gezählt',
      sequence: String(n * 2 ** 40),
      payload: JSON.stringify({ n, text: TEXTS[n % TEXTS.length] }),
      timestamp: String(1_700_000_000_000 + ((n * 7919) % 300) * 100_000),
    }),
  );
}

const headersOf = ({ id, type, dataschema, sequence }: OutboxRow) =>
  [
    'ce_specversion=1.0',
    `ce_id=${id}`,
    'ce_source=/test',
    `ce_type=${type}`,
    `ce_dataschema=${dataschema}`,
    `ce_sequence=${sequence}`,
    'content-type=application/json',
  ].join(';');

/** The lines of a key, in order. */
const byKey = (lines: readonly string[]) => Map.groupBy(lines, (line) => line.split('\t')[0]);

(runsJava ? describe : describe.skip)("Kafka's own consumer", () => {
  it('P2 P3 reads every record that the producer writes, with its envelope and its time, in the order of its key', async () => {
    const name = `java-consumer-${randomUUID()}`;
    const topic = { name, aggregateType: 'counter', partitions: PARTITIONS, retentionMs: -1, events: {} };
    await createTopics({ brokers, clientId: 'test' }, [topic]);
    const rows = someRows();
    const untimed = someRows();
    const producer = await connectProducer({ brokers, clientId: 'test', source: '/test' });

    await producer.publish(new Map([[name, rows]]), () => true);
    await producer.publish(new Map([[name, untimed]]), () => true, false);
    await producer.close();
    const count = String(rows.length + untimed.length);
    const read = await runJava('Consume.java', brokers.join(), name, String(PARTITIONS), count);

    const expected = [
      ...rows.map((row) => [row.aggregateid, row.timestamp, headersOf(row), row.payload]),
      ...untimed.map((row) => {
        const time = new Date(Number(row.timestamp)).toISOString();
        return [row.aggregateid, '-1', `${headersOf(row)};ce_time=${time}`, row.payload];
      }),
    ].map((fields) => fields.join('\t'));
    expect(byKey(read)).toEqual(byKey(expected));
  });
});
