import { parseArgs } from 'node:util';
import { Logger } from '@nestjs/common';
import {
  type GroupOfTopic,
  moveOffsets,
  type OffsetsOfPartition,
  type OffsetTarget,
  showOffsets,
} from '@twinbox/messaging';
import { SessionClient, withoutRefusal } from '@twinbox/messaging/session-client';
import { DataSource } from 'typeorm';
import { databaseUrl, kafka, run } from './command.js';
import { SERVICES } from './services.js';

// The log of the Kafka client is off because the command reports an error in its last line.
Logger.overrideLogger(false);

const schemas = SERVICES.map(({ schema }) => schema).join('|');
const usage =
  `usage: npm run offsets -- ${schemas} <group> <topic> ` +
  '[earliest | latest | <ISO time> | <partition>:<offset>,…] [--actor <name>] [--reason <text>]';

// Shows or moves the offsets of a consumer group on a topic, in the service's database and in Kafka.
run('offsets', async () => {
  const { schema, groupId, topic, target, actor, reason } = readArguments();
  const options = kafka('twinbox-offsets');
  const url = databaseUrl("the service's database: postgres://user:password@host:port/database");
  const extra = { Client: SessionClient };
  const dataSource = await withoutRefusal(() =>
    new DataSource({ type: 'postgres', url, connectTimeoutMS: 5000, extra }).initialize(),
  );
  try {
    const group: GroupOfTopic = {
      kafka: options,
      dataSource,
      schema,
      groupId,
      topic,
    };
    const offsets =
      target === undefined ? await showOffsets(group) : await moveOffsets(group, target, { actor, reason });
    for (const line of offsets) console.log(shown(topic, line));
  } finally {
    await dataSource.destroy();
  }
});

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { actor: { type: 'string' }, reason: { type: 'string' } },
  });
  const [schema, groupId, topic, to, ...more] = positionals;
  if (!SERVICES.some((known) => known.schema === schema) || !schema || !groupId || !topic || more.length > 0)
    throw new Error(usage);
  const actor = values.actor ?? process.env['USER'] ?? 'unknown';
  return { schema, groupId, topic, target: to === undefined ? undefined : targetOf(to), actor, reason: values.reason };
}

function targetOf(text: string): OffsetTarget {
  if (text === 'earliest' || text === 'latest') return text;
  if (/^\d+:\d+(,\d+:\d+)*$/.test(text))
    return new Map(
      text.split(',').map((part) => {
        const [partition, offset] = part.split(':') as [string, string];
        return [Number(partition), BigInt(offset)];
      }),
    );
  const time = new Date(text);
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(time.getTime())) throw new Error(usage);
  return time;
}

function shown(topic: string, { partition, database, kafka, earliest, latest }: OffsetsOfPartition): string {
  return (
    `${topic}/${partition}: next offset ${database ?? 'none'} in the database, ${kafka ?? 'none'} in Kafka; ` +
    `the topic has offsets ${earliest} to ${latest}`
  );
}
