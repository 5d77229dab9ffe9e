import { once } from 'node:events';
import { type AddressInfo } from 'node:net';
import { DeadJobs } from '@twinbox/messaging';
import { produce, until } from '@twinbox/messaging/testing';
import { SMTPServer, type SMTPServerDataStream } from 'smtp-server';
import { v7 as uuidv7 } from 'uuid';
import { aCart, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

/** An answer that reveals internals of the mail server. */
const REFUSAL = 'no such mailbox at mx1.mail.internal (10.0.3.7)';

/** A real mail server that keeps its mails and rejects mailboxes named `refused…`. */
class MailServer {
  readonly mails: { readonly to: string; readonly text: string }[] = [];
  /** How many of the next mails get a temporary error. */
  busy = 0;
  private readonly server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    onRcptTo: ({ address }, _, done) => {
      const refused = address.startsWith('refused');
      done(refused ? Object.assign(new Error(REFUSAL), { responseCode: 550 }) : undefined);
    },
    onData: (stream, { envelope }, done) =>
      void (async () => done(await this.keep(stream, envelope.rcptTo.map(({ address }) => address).join())))(),
  });

  async listen(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server.server, 'listening');
    return `smtp://127.0.0.1:${(this.server.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private async keep(stream: SMTPServerDataStream, to: string): Promise<Error | undefined> {
    const text = (await stream.toArray()).join('');
    if (this.busy > 0) {
      this.busy--;
      return Object.assign(new Error('try again later'), { responseCode: 451 });
    }
    this.mails.push({ to, text });
    return undefined;
  }
}

const mailServer = new MailServer();
let service: OrderServiceHarness;

beforeAll(async () => {
  service = await startOrderService({
    NOTIFIER: 'smtp',
    SMTP_URL: await mailServer.listen(),
    MAIL_DOMAIN: 'customers.example',
  });
});

afterAll(async () => {
  await service.stop();
  await mailServer.close();
});

async function anOrderOf(customerId: string): Promise<string> {
  const { status, body } = await service.aCustomer(customerId).post('/orders', aCart());
  expect(status).toBe(201);
  return body.id;
}

/** Publishes a message as the relay does. */
async function publish(type: string, data: { orderId: string; customerId: string; reason?: string }): Promise<void> {
  const headers = {
    ce_id: uuidv7(),
    ce_source: '/order-service',
    ce_type: type,
    ce_specversion: '1.0',
    ce_dataschema: `urn:event:${type}:1`,
    'content-type': 'application/json',
  };
  const record = { key: data.orderId, value: JSON.stringify(data), headers };
  // Sent twice, so that the inbox must drop the duplicate.
  await produce(service.topics.brokers, service.topics.orderEvents, [record, record]);
}

const mailsTo = (address: string) => mailServer.mails.filter(({ to }) => to === address);
const timelineOf = async (customerId: string, orderId: string) =>
  (await service.aCustomer(customerId).get(`/orders/${orderId}/timeline`)).body.items;

it('notifies the customer once of an order that is paid, finished or cancelled', async () => {
  const customerId = 'ada';
  const orderId = await anOrderOf(customerId);

  await publish('OrderCompleted', { orderId, customerId });
  await publish('OrderFinished', { orderId, customerId });
  await publish('OrderCancelled', { orderId, customerId, reason: 'ordered twice' });

  await until('three mails have arrived', () => mailsTo('ada@customers.example').length === 3);
  const texts = mailsTo('ada@customers.example').map(({ text }) => text);
  expect(texts.every((text) => text.includes(orderId))).toBe(true);
  for (const text of texts) expect(text).toContain('Auto-Submitted: auto-generated');
  for (const subject of ['Your order is paid', 'Your order is finished', 'Your order was cancelled'])
    expect(texts.filter((text) => text.includes(`Subject: ${subject}`))).toHaveLength(1);
  expect(texts.join()).toContain('ordered twice');
});

it('uses a customer id that is an e-mail address, and retries after a temporary error', async () => {
  const customerId = 'grace@navy.example';
  const orderId = await anOrderOf(customerId);
  mailServer.busy = 1;

  await publish('OrderCompleted', { orderId, customerId });

  await until('the mail has arrived', () => mailsTo(customerId).length === 1);
  expect(mailServer.busy).toBe(0);
});

it('does not give up after ten attempts, because a mail server may be down for longer', async () => {
  const customerId = 'barbara@mit.example';
  const orderId = await anOrderOf(customerId);
  const job = async () => {
    const [row] = await service.database.sql<{ attempts: number; dead_at: Date | null }>(
      `select attempts, dead_at from orders.jobs where data ->> 'orderId' = $1 and error is not null`,
      [orderId],
    );
    return row;
  };
  mailServer.busy = 1;

  await service.database.sql(
    `insert into orders.jobs (id, queue, data, run_at, attempts)
     values ($1, 'notification', $2, now(), 12)`,
    [uuidv7(), { type: 'OrderCompleted', orderId, customerId, reason: null }],
  );

  expect(await until('it has failed', job)).toEqual({ attempts: 13, dead_at: null });
});

it.each([
  ['whose mailbox the server rejects', 'refused', REFUSAL],
  ['who has no e-mail address', 'nobody at all', 'the customer has no e-mail address'],
])(
  'P5 keeps a notification of a customer %s as a dead letter and records it in the timeline',
  async (_, customerId, why) => {
    const orderId = await anOrderOf(customerId);
    const before = await service.stored(orderId);

    await publish('OrderCompleted', { orderId, customerId });

    const last = await until('the timeline records it', async () => {
      const step = (await timelineOf(customerId, orderId)).at(-1);
      return step?.type === 'NotificationFailed' && step;
    });
    expect(last).toMatchObject({ actor: 'system', cause: 'OrderCompleted', status: 'PLACED', version: 1 });
    expect(last.detail).toEqual({ reason: 'The message could not be delivered.' });
    const { body } = await service.anOperator().get(`/orders/${orderId}/timeline`);
    const { reason } = body.items.at(-1).detail;
    // Operators see the server's answer, once.
    expect(reason.split(why)).toHaveLength(2);
    const dead = await service.app.get(DeadJobs).list({ queue: 'notification' });
    expect(dead.items.map(({ error }) => error)).toContain(reason);
    expect((await service.stored(orderId)).order).toEqual(before.order);
  },
);

it('P1 writes the dead letter and its timeline step together or not at all', async () => {
  const customerId = 'refused too';
  const orderId = await anOrderOf(customerId);
  await service.database.sql('revoke insert on orders.order_timeline from orders');

  await publish('OrderCompleted', { orderId, customerId });

  const job = () =>
    service.database.sql(`select dead_at, error from orders.jobs where data->>'orderId' = $1`, [orderId]);
  await until('it was tried', async () => (await job()).length === 1);
  const [failed] = await job();
  await service.database.sql('grant insert on orders.order_timeline to orders');
  await until('it is dead', async () => (await job())[0]?.['dead_at']);

  expect(failed).toMatchObject({ dead_at: null });
  expect((await timelineOf(customerId, orderId)).at(-1)).toMatchObject({ type: 'NotificationFailed' });
});

it("P10 a customer who follows an order live does not see the mail server's answer either", async () => {
  const customerId = 'refused-and-watching';
  const orderId = await anOrderOf(customerId);
  const response = await fetch(new URL(`/orders/${orderId}/events`, service.url), {
    headers: { 'x-user-id': customerId },
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let read = '';

  await publish('OrderCompleted', { orderId, customerId });

  while (!read.includes('NotificationFailed')) read += (await reader.read()).value ?? '';
  await reader.cancel();
  expect(read).toContain('The message could not be delivered.');
  expect(read).not.toContain('internal');
});
