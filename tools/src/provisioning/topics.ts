import { Logger } from '@nestjs/common';
import * as contracts from '@twinbox/contracts';
import { createTopics } from '@twinbox/messaging';
import { kafka, run } from '@twinbox/migrations/command';
import { type Topic, TOPICS } from '@twinbox/migrations/services';

// The log of the Kafka client is off because the command reports an error in its last line.
Logger.overrideLogger(false);

run('topics', async () => {
  const options = kafka('twinbox-topics');
  const contractOf: Pick<typeof contracts, Topic> = contracts;
  const topics = TOPICS.map((topic) => ({ prefix: topic, ...configured(contractOf[topic], topic) }));
  for (const [n, { prefix, name }] of topics.entries()) {
    const other = topics.slice(0, n).find((earlier) => earlier.name === name);
    if (other) throw new Error(`${other.prefix}_TOPIC and ${prefix}_TOPIC are both "${name}", but must differ`);
  }
  const replicationFactor = count('KAFKA_TOPIC_REPLICATION_FACTOR');
  const minInsyncReplicas = count('KAFKA_TOPIC_MIN_INSYNC_REPLICAS');
  await createTopics(options, topics, {
    ...(replicationFactor !== undefined && { replicationFactor }),
    ...(minInsyncReplicas !== undefined && { minInsyncReplicas }),
  });
  for (const { name, partitions } of topics) console.log(`${name}: ${partitions} partitions`);
});

/** Returns the topic with the configured name and number of partitions. */
function configured<T extends { name: string; partitions: number }>(topic: T, prefix: string): T {
  const partitions = process.env[`${prefix}_PARTITIONS`] || String(topic.partitions);
  if (!/^[1-9]\d{0,3}$/.test(partitions)) throw new Error(`${prefix}_PARTITIONS must be a whole number from 1 to 9999`);
  return { ...topic, name: process.env[`${prefix}_TOPIC`] || topic.name, partitions: Number(partitions) };
}

/** Reads a number of brokers. Unset or empty means Kafka's own default. */
function count(variable: string): number | undefined {
  const text = process.env[variable];
  if (!text) return undefined;
  if (!/^[1-9]\d?$/.test(text)) throw new Error(`${variable} must be a whole number from 1 to 99`);
  return Number(text);
}
