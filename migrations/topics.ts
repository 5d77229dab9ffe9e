import { Logger } from '@nestjs/common';
import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { createTopics } from '@twinbox/messaging';
import { required, run } from './command.js';

// Whoever runs a command reads its last line, not the log of the Kafka client.
Logger.overrideLogger(false);

run('topics', async () => {
  const brokers = required('KAFKA_BROKERS', "Kafka's bootstrap servers: host:port, separated by commas").split(',');
  const topics = [
    { ...ORDER_EVENTS, name: process.env['ORDER_EVENTS_TOPIC'] || ORDER_EVENTS.name },
    { ...PAYMENT_EVENTS, name: process.env['PAYMENT_EVENTS_TOPIC'] || PAYMENT_EVENTS.name },
  ];
  await createTopics({ brokers, clientId: 'twinbox-topics' }, topics);
  for (const { name, partitions } of topics) console.log(`${name}: ${partitions} partitions`);
});
