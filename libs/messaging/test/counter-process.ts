import { randomUUID } from 'node:crypto';
import { Controller, type INestApplication } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { DataSource, type EntityManager } from 'typeorm';
import { type ComponentHealth, MessagingHealth } from '#src/operations/health.js';
import { InboxContext } from '#src/inbox/inbox-context.js';
import { type Message } from '#src/message/message.js';
import { type InboxOptions } from '#src/messaging-options.js';
import { connectInboxes, MessagingModule } from '#src/messaging.module.js';
import { Counted, COUNTER, type Sandbox } from './sandbox.js';
import { type RawRecord } from '#src/testing/topic.js';

/** Records each message as an effect, in order of arrival, and then calls `next`, which a test can set. */
@Controller()
export class CounterController {
  static next: (n: number, tx: EntityManager, message: Message) => void | Promise<void> = () => undefined;

  @EventPattern<string>('Counted', COUNTER)
  async onCounted(@Payload() { n }: Counted, @Ctx() { tx, message }: InboxContext): Promise<void> {
    await tx.query('insert into sandbox.effects (key, n) values ($1, $2)', [message.key, n]);
    await CounterController.next(n, tx, message);
  }
}

/** Starts a process of the consuming service. The contract of an `older` one does not have the event yet. */
export async function startCounter(
  sandbox: Sandbox,
  options: Partial<InboxOptions> = {},
  { older = false } = {},
): Promise<INestApplication> {
  const { topic } = sandbox.consumer;
  const consumes = [{ ...sandbox.consumer, ...(older && { topic: { ...topic, events: {} } }), ...options }];
  const module = await Test.createTestingModule({
    imports: [MessagingModule.forRoot({ ...sandbox.options, consumes })],
    controllers: older ? [] : [CounterController],
    providers: [{ provide: DataSource, useValue: sandbox.dataSource }],
  }).compile();
  const app = module.createNestApplication(new FastifyAdapter());
  connectInboxes(app);
  // Starts the relay, whose poll serves the whole library.
  await app.init();
  await app.startAllMicroservices();
  return app;
}

export function inboxHealth(app: INestApplication): ComponentHealth & Record<string, unknown> {
  const { components } = app.get(MessagingHealth).check();
  return Object.values(components).find((component) => 'consuming' in component)!;
}

export function counted(n: number, fields: Partial<RawRecord> & { id?: string } = {}): RawRecord {
  const { id = randomUUID(), ...record } = fields;
  return {
    key: 'a',
    value: JSON.stringify({ n }),
    headers: { ce_specversion: '1.0', ce_id: id, ce_type: 'Counted', ce_source: '/test' },
    ...record,
  };
}
