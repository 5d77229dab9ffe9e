import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { type TokenIssuer } from '@twinbox/api-kit/testing';
import { produce, type TestDatabase, until } from '@twinbox/messaging/testing';
import { EventClient } from './event-client.js';
import { type Answer, caller } from './http.js';
import { type Marks } from './marks.js';
import { type ServiceProcess } from './service-process.js';
import { type ServiceTopics } from './service-topics.js';

export interface MarkedSystem {
  readonly marks: Marks;
  readonly orders: ServiceProcess;
  readonly payments: ServiceProcess;
  readonly tokens: TokenIssuer;
  readonly database: TestDatabase;
  readonly topics: ServiceTopics;
  /** The bytes of WEBHOOK_SECRET. */
  readonly webhookKey: Buffer;
}

/** Sends requests and messages that contain marks wherever they can, successful and failing ones. Returns all problems, and what a stream was told. */
export class MarkedFlow {
  private readonly answers: Answer[] = [];
  private told = '';

  constructor(private readonly system: MarkedSystem) {}

  async run(): Promise<{ readonly problems: readonly Answer[]; readonly told: string }> {
    const { orders, payments } = this.system;
    for (const service of [orders, payments])
      await until(
        `${service.name} is ready`,
        async () => (await caller(service.url, {}).get('/health/ready')).status === 200,
      );
    const ada = await this.bearer('token of a customer', { claims: { sub: 'ada' } });
    const olga = await this.bearer('token of an operator', { claims: { sub: 'olga', roles: ['operator'] } });
    await this.completeOrder(ada, olga);
    await this.useTicket(ada);
    await this.sendInvalidRequests(ada);
    await this.sendInvalidTokens();
    await this.sendInvalidWebhooks();
    await this.failInTheDatabase(ada);
    await this.receiveInvalidMessages();
    const problems = this.answers.filter(({ status, body }) => status >= 400 || typeof body === 'string');
    return { problems, told: this.told };
  }

  private async bearer(name: string, fields: Parameters<TokenIssuer['token']>[0]): Promise<string> {
    return `Bearer ${this.system.marks.addToken(name, await this.system.tokens.token(fields))}`;
  }

  private async send(
    { url }: ServiceProcess,
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: unknown,
  ): Promise<Answer> {
    const answer = await caller(url, headers).send(method, path, body);
    this.answers.push(answer);
    return answer;
  }

  /** One order is paid by webhook, and the customer cancels another one with a reason. The e-mails cannot be sent. */
  private async completeOrder(ada: string, olga: string): Promise<void> {
    const { marks, orders, payments } = this.system;
    const place = () =>
      this.send(
        orders,
        'POST',
        '/orders',
        { authorization: ada, 'idempotency-key': marks.new('idempotency key') },
        { items: [{ productId: 'marked', quantity: 1 }], description: `${marks.new('description')}@mail.example` },
      );
    const product = { name: marks.new('product'), price: 100, currency: 'EUR', stock: 1000 };
    await this.send(orders, 'PUT', '/products/marked', { authorization: olga }, product);
    const { body: order } = await place();
    const paymentRequestId = await until('the payment is requested', async () => {
      const path = `/payment-requests?orderId=${order.id}`;
      return (await this.send(payments, 'GET', path, { authorization: ada })).body.items[0]?.id;
    });
    await this.webhook({ type: 'payment.succeeded', data: { paymentRequestId, note: marks.new('webhook') } });
    await until('the order is completed', async () => {
      const { body } = await this.send(orders, 'GET', `/orders/${order.id}`, { authorization: ada });
      return body.status === 'COMPLETED';
    });
    const { body: cancelled } = await place();
    const reason = marks.new('reason');
    await this.send(orders, 'POST', `/orders/${cancelled.id}/cancel`, { authorization: ada }, { reason });
    await until('an e-mail has failed', () => /ECONNREFUSED/.test(orders.log()));
  }

  private async webhook(body: object, sign = true): Promise<void> {
    const { marks, payments, webhookKey } = this.system;
    const [id, at, text] = [randomUUID(), Math.floor(Date.now() / 1000), JSON.stringify(body)];
    const right = createHmac('sha256', webhookKey).update(`${id}.${at}.${text}`).digest('base64');
    const signature = sign ? marks.add('signature', right) : marks.new('wrong signature');
    const headers = { 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': `v1,${signature}` };
    await this.send(payments, 'POST', '/webhooks/payments', headers, text);
  }

  /** A ticket opens a stream, takes it over, and is refused everywhere else. */
  private async useTicket(ada: string): Promise<void> {
    const { marks, orders, payments } = this.system;
    const { body } = await this.send(orders, 'POST', '/orders/events/tickets', { authorization: ada }, {});
    const query = `?ticket=${marks.add('stream ticket', String(body.ticket))}`;
    const first = await EventClient.open(orders.url + String(body.url), {});
    const lastEventId = await until('the stream begins', () => first.lastEventId);
    await this.send(orders, 'GET', body.url, {});
    const second = await EventClient.open(orders.url + String(body.url), {}, lastEventId);
    await until('the first stream ends', () => first.ended);
    second.leave();

    // Other events contain the steps of the user's orders.
    this.told = JSON.stringify(first.events.filter(({ event }) => event === 'expired'));
    const paths = ['/orders', '/orders/events/tickets', `/orders/${unknownId()}/events`, '/nowhere', '/orders/%zz'];
    for (const path of paths) await this.send(orders, 'GET', path + query, {});
    await this.send(orders, 'POST', `/orders/events/tickets${query}`, {}, {});
    await this.send(orders, 'GET', `/orders/events${query}x`, {});
    await this.send(payments, 'GET', `/payment-requests${query}`, { authorization: ada });
  }

  private async sendInvalidRequests(ada: string): Promise<void> {
    const { marks, orders, payments } = this.system;
    const items = [{ productId: 'marked', quantity: 1 }];
    const description = marks.new('refused description');
    const key = marks.new('refused idempotency key');
    const bodies = [
      { items, description: description.repeat(20) },
      { items: [{ productId: 'marked', quantity: description }], description },
      { items: [{ productId: 'marked', quantity: 1, unitPrice: 1 }], description },
      `{"description":"${description}`,
      description,
    ];
    for (const body of bodies)
      await this.send(orders, 'POST', '/orders', { authorization: ada, 'idempotency-key': key }, body);
    await this.send(orders, 'POST', '/orders', { authorization: ada, 'idempotency-key': `"${key}` }, { items });
    for (const headers of [{ 'content-type': 'text/plain' }, { 'if-match': `"${marks.new('etag')}"` }])
      await this.send(orders, 'POST', `/orders/${unknownId()}/place`, { authorization: ada, ...headers }, description);
    const query = `access_token=${ada.replace('Bearer ', '')}`;
    await this.send(orders, 'GET', `/orders?${query}`, {});
    await this.send(payments, 'GET', `/payment-requests?${query}`, { authorization: ada });
    await this.send(orders, 'GET', `/nowhere?${query}`, {});
  }

  private async sendInvalidTokens(): Promise<void> {
    const { marks, orders, payments } = this.system;
    const refused = [
      await this.bearer('expired token', { expiresIn: -3600 }),
      await this.bearer('forged token', { forged: true }),
      await this.bearer('token of an unknown key', { kid: marks.new('key id') }),
      await this.bearer('token for another audience', { claims: { aud: marks.new('audience') } }),
      await this.bearer('token without a role', { claims: { roles: [marks.new('role')] } }),
      `Bearer ${marks.new('long token').repeat(400)}`,
      `Bearer ${marks.new('garbage')}`,
      `Basic ${marks.new('basic credentials')}`,
    ];
    for (const authorization of refused) {
      await this.send(orders, 'POST', '/orders', { authorization }, { draft: true });
      await this.send(payments, 'GET', '/payment-requests', { authorization });
    }
  }

  private async sendInvalidWebhooks(): Promise<void> {
    const { marks } = this.system;
    const note = marks.new('refused webhook');
    await this.webhook({ type: 'payment.succeeded', data: { paymentRequestId: unknownId(), note } }, false);
    await this.webhook({ type: 'payment.failed', data: { paymentRequestId: unknownId(), reason: note } });
    await this.webhook({ type: 'payment.failed', data: { paymentRequestId: note, reason: note } });
  }

  /** PostgreSQL quotes the values of the row that it refuses. */
  private async failInTheDatabase(ada: string): Promise<void> {
    const { marks, orders, database } = this.system;
    const description = marks.new('description that the database refuses');
    await database.sql(`
      alter table orders.orders add constraint refused check (description is distinct from '${description}') not valid`);
    for (const draft of [true, false])
      await this.send(
        orders,
        'POST',
        '/orders',
        { authorization: ada },
        { items: [{ productId: 'marked', quantity: 1 }], draft, description },
      );
    await database.sql('alter table orders.orders drop constraint refused');
  }

  /** Messages that become dead letters: invalid JSON, an invalid field, and one about an order that does not exist. */
  private async receiveInvalidMessages(): Promise<void> {
    const { marks, orders, database, topics } = this.system;
    const text = marks.new('payload');
    const headers = () => ({
      ce_id: unknownId(),
      ce_source: '/payment-service',
      ce_type: 'PaymentFailed',
      ce_specversion: '1.0',
      ce_dataschema: 'urn:twinbox:event:PaymentFailed:1',
      'content-type': 'application/json',
      'x-secret': marks.new('header of a message'),
    });
    const failed = { orderId: unknownId(), paymentRequestId: unknownId(), actor: 'gateway', reason: text };
    const values = [`{"reason":"${text}`, text, JSON.stringify({ ...failed, orderId: text }), JSON.stringify(failed)];
    await produce(
      topics.brokers,
      topics.paymentEvents,
      values.map((value) => ({ key: unknownId(), value, headers: headers() })),
    );
    await until('the messages are dead letters', async () => {
      const rows = await database.sql('select from orders.inbox_parked where dead_at is not null');
      return rows.length === values.length;
    });
    await until('they are in the log', () => orders.log().split('dead letter').length > values.length);
  }
}

/** The id of an order or a payment request that does not exist (UUIDv7). */
function unknownId(): string {
  return `01939d3c-2f4a-7c3e-9d55-${randomBytes(6).toString('hex')}`;
}
