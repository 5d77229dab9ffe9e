import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { connectInboxes, type InboxContext, type InboxOptions, MessagingModule } from '@twinbox/messaging';
import { SessionClient } from '@twinbox/messaging/session-client';
import { DataSource } from 'typeorm';
import { runAsChild } from '../support/child.js';
import { messagingOptions, NOTES, type Place } from '../support/place.js';

export interface InboxProcessOptions extends Place {
  readonly inbox: Omit<InboxOptions, 'consumer' | 'groupId' | 'topic'>;
}

/** The minimum that a handler does: one UPDATE of its own key's row. */
@Controller()
class NotesController {
  @EventPattern<string>('Noted', NOTES)
  async onNoted(@Ctx() { tx, message }: InboxContext): Promise<void> {
    await tx.query('update bench.notes set n = n + 1 where key = $1', [message.key]);
  }
}

/** A service that only consumes. */
runAsChild<InboxProcessOptions, Record<string, never>>(async (options) => {
  const dataSource = await new DataSource({
    type: 'postgres',
    url: options.databaseUrl,
    // As the library's documentation recommends.
    extra: { max: 20, Client: SessionClient, settings: {}, pipeline: true },
  }).initialize();
  @Module({
    imports: [MessagingModule.forRoot(messagingOptions(options, options.inbox))],
    controllers: [NotesController],
    providers: [{ provide: DataSource, useValue: dataSource }],
    exports: [DataSource],
  })
  // oxlint-disable-next-line no-extraneous-class -- a Nest module is a class
  class ConsumingService {}

  const app = await NestFactory.create(ConsumingService, new FastifyAdapter(), { logger: ['error'] });
  connectInboxes(app);
  await app.startAllMicroservices();
  await app.init();
  return async () => {
    await app.close();
    await dataSource.destroy();
    return {};
  };
});
