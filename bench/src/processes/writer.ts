import 'reflect-metadata';
import { setTimeout as delay } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { MessagingModule, Outbox } from '@twinbox/messaging';
import { DataSource } from 'typeorm';
import { runAsChild } from '../support/child.js';
import { messagingOptions, type Place } from '../support/place.js';

export interface WriterOptions extends Place {
  readonly perSecond: number;
  readonly messages: number;
  /** Whether this process may become the relay. */
  readonly relay: boolean;
}

/** The times from just before each INSERT to its commit, in ms, in the order of writing. */
export interface WriterResult {
  readonly commitMs: readonly number[];
  /** CPU time of the whole process while it wrote and published, in microseconds. */
  readonly cpuUs: number;
}

/**
 * A service that commits one message per transaction at a steady rate. Each message carries the time just before its INSERT, by the
 * machine's monotonic clock, which all its processes share.
 */
runAsChild<WriterOptions, WriterResult>(async (options, finish) => {
  const messaging = { ...messagingOptions(options), relay: options.relay };
  const app = await NestFactory.createApplicationContext(MessagingModule.forRoot(messaging), { logger: ['error'] });
  await app.init();
  const dataSource = await new DataSource({
    type: 'postgres',
    url: options.databaseUrl,
    extra: { max: 10 },
  }).initialize();
  void write(options, app.get(Outbox), dataSource)
    .then(finish)
    .catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  return () => Promise.resolve({ commitMs: [], cpuUs: 0 });
});

async function write(
  { perSecond, messages }: WriterOptions,
  outbox: Outbox,
  dataSource: DataSource,
): Promise<WriterResult> {
  const padding = 'x'.repeat(450);
  const writeOne = async (n: number): Promise<number> => {
    let sentAt = 0n;
    await dataSource.transaction(async (tx) => {
      sentAt = process.hrtime.bigint();
      const aggregate = { aggregateType: 'bench', aggregateId: `key-${n % 1000}`, version: n };
      await outbox.add(tx, aggregate, [{ type: 'Noted', data: { note: `${sentAt} ${padding}` } }]);
    });
    return Number(process.hrtime.bigint() - sentAt) / 1e6;
  };
  const began = performance.now();
  const cpu = process.cpuUsage();
  const writes: Promise<number>[] = [];
  for (let n = 0; n < messages; n++) {
    await delay(Math.max(0, (n / perSecond) * 1000 - (performance.now() - began)));
    writes.push(writeOne(n));
  }
  const commitMs = await Promise.all(writes);
  // The last messages must be published before this process, which may be the relay, ends.
  await delay(3000);
  const { user, system } = process.cpuUsage(cpu);
  return { commitMs, cpuUs: user + system };
}
