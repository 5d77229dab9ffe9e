import { Logger } from '@nestjs/common';
import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { createTopics } from '@twinbox/messaging';
import { required, run } from '@twinbox/migrations/command';

// The log of the Kafka client is off because the command reports an error in its last line.
Logger.overrideLogger(false);

run('topics', async () => {
  const brokers = required('KAFKA_BROKERS', "Kafka's bootstrap servers: host:port, separated by commas").split(',');
  const orderEvents = configured(ORDER_EVENTS, 'ORDER_EVENTS');
  const paymentEvents = configured(PAYMENT_EVENTS, 'PAYMENT_EVENTS');
  const names: string[] = [orderEvents.name, paymentEvents.name];
  if (new Set(names).size < 2)
    throw new Error(`ORDER_EVENTS_TOPIC and PAYMENT_EVENTS_TOPIC are both "${names[0]}", but must differ`);
  const topics = [orderEvents, paymentEvents];
  await createTopics({ brokers, clientId: 'twinbox-topics' }, topics);
  for (const { name, partitions } of topics) console.log(`${name}: ${partitions} partitions`);
});

/** Returns the topic with the configured name and number of partitions. */
function configured<T extends { name: string; partitions: number }>(topic: T, prefix: string): T {
  const partitions = process.env[`${prefix}_PARTITIONS`] || String(topic.partitions);
  if (!/^[1-9]\d{0,3}$/.test(partitions)) throw new Error(`${prefix}_PARTITIONS must be a whole number from 1 to 9999`);
  return { ...topic, name: process.env[`${prefix}_TOPIC`] || topic.name, partitions: Number(partitions) };
}
