import 'reflect-metadata';
import { setTimeout as delay } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { MessagingModule, Outbox } from '@twinbox/messaging';
import { DataSource } from 'typeorm';
import { runAsChild } from '../child.js';
import { messagingOptions, type Place } from '../place.js';

export interface WriterOptions extends Place {
  readonly perSecond: number;
  readonly messages: number;
}

/**
 * A service that commits one message a transaction, evenly. Each carries the time just before its INSERT, by the machine's
 * monotonic clock, which all its processes share.
 */
runAsChild<WriterOptions, Record<string, never>>(async (options, finish) => {
  const app = await NestFactory.createApplicationContext(MessagingModule.forRoot(messagingOptions(options)), {
    logger: ['error'],
  });
  await app.init();
  const dataSource = await new DataSource({
    type: 'postgres',
    url: options.databaseUrl,
    extra: { max: 10 },
  }).initialize();
  void write(options, app.get(Outbox), dataSource)
    .then(() => finish({}))
    .catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  return () => Promise.resolve({});
});

async function write({ perSecond, messages }: WriterOptions, outbox: Outbox, dataSource: DataSource): Promise<void> {
  const padding = 'x'.repeat(450);
  const began = performance.now();
  const writes: Promise<void>[] = [];
  for (let n = 0; n < messages; n++) {
    await delay(Math.max(0, (n / perSecond) * 1000 - (performance.now() - began)));
    writes.push(
      dataSource.transaction(async (tx) => {
        const note = `${process.hrtime.bigint()} ${padding}`;
        const aggregate = { aggregateType: 'bench', aggregateId: `key-${n % 1000}`, version: n };
        await outbox.add(tx, aggregate, [{ type: 'Noted', data: { note } }]);
      }),
    );
  }
  await Promise.all(writes);
  // The last ones have to be published before this process, which may be the relay, ends.
  await delay(3000);
}
