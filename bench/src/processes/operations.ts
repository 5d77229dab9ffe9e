import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  connectInboxes,
  type InboxContext,
  MessagingModule,
  type OperationRequest,
  Operations,
  PermanentError,
} from '@twinbox/messaging';
import { SessionClient } from '@twinbox/messaging/session-client';
import { until } from '@twinbox/messaging/testing';
import { DataSource } from 'typeorm';
import { runAsChild } from '../support/child.js';
import { messagingOptions, NOTES, type Place } from '../support/place.js';

export interface OperationsProcessOptions extends Place {
  /** What an operator asks for after the start. Without it, the handler is broken and every message becomes a dead letter. */
  readonly request?: OperationRequest;
}

export interface OperationsResult {
  /** From the creation to the end of the operation. */
  readonly operationMs: number;
  readonly done: number;
  /** From the creation until no message is parked. */
  readonly processedMs: number;
}

/** A service that publishes and consumes, and runs operations. */
runAsChild<OperationsProcessOptions, OperationsResult | Record<string, never>>(async (options, finish) => {
  const dataSource = await new DataSource({
    type: 'postgres',
    url: options.databaseUrl,
    // As the library's documentation recommends.
    extra: { max: 20, Client: SessionClient, settings: {}, pipeline: true },
  }).initialize();

  @Controller()
  class NotesController {
    @EventPattern<string>('Noted', NOTES)
    async onNoted(@Ctx() { tx, message }: InboxContext): Promise<void> {
      if (!options.request) throw new PermanentError('the handler is broken');
      await tx.query('update bench.notes set n = n + 1 where key = $1', [message.key]);
    }
  }
  @Module({
    imports: [MessagingModule.forRoot(messagingOptions(options, {}))],
    controllers: [NotesController],
    providers: [{ provide: DataSource, useValue: dataSource }],
    exports: [DataSource],
  })
  // oxlint-disable-next-line no-extraneous-class -- a Nest module is a class
  class Service {}

  const app = await NestFactory.create(Service, new FastifyAdapter(), { logger: options.request ? ['error'] : false });
  connectInboxes(app);
  await app.startAllMicroservices();
  await app.init();
  if (options.request) void run(app.get(Operations), dataSource, options.request).then(finish);
  return async () => {
    await app.close();
    await dataSource.destroy();
    return {};
  };
});

async function run(operations: Operations, db: DataSource, request: OperationRequest): Promise<OperationsResult> {
  const begun = performance.now();
  const by = { actor: 'bench', reason: 'the handler is fixed' };
  const dryRun = await operations.preview(request);
  const { id } = await db.transaction((tx) => operations.create(tx, { ...request, dryRun, ...by }));
  const limitMs = 120_000;
  let done = 0;
  await until(
    'the operation ends',
    async () => {
      const operation = await operations.find(id);
      done = operation?.done ?? 0;
      return operation?.state === 'done';
    },
    limitMs,
  );
  const operationMs = performance.now() - begun;
  await until(
    'no message is parked',
    async () => {
      const [row]: { parked: boolean }[] = await db.query('select exists (select from bench.inbox_parked) as parked');
      return row?.parked === false;
    },
    limitMs,
  );
  return { operationMs, done, processedMs: performance.now() - begun };
}
