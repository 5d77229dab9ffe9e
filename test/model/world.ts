import { type PaymentRequest, type PaymentResult } from '../../apps/payment-service/src/domain/payment-request.js';
import { type Message, type Topic } from './memory.js';
import { isReserved, OrderSide } from './order-side.js';
import { PaymentSide, type Webhook } from './payment-side.js';
import { type Job } from './payment-tables.js';

export const PRODUCTS = ['tea', 'cup', 'mug'] as const;
export const SLOTS = [1, 2, 3] as const;
export const TOPICS = ['order.events', 'payment.events'] as const;
export const TTL_MS = 15 * 60_000;

export interface Setting {
  /** Whether the gateway charges by itself, or operators decide. */
  readonly isAutomatic: boolean;
  /** Pieces of each product. */
  readonly stock: number;
}

/** The progress of a consumer within one key. */
interface Reading {
  /** How many messages were consumed. */
  next: number;
  /** Dead letters that no operator has retried yet. */
  readonly aside: Message[];
}

/** Both services, their topics, the provider and the clock. Only moves change anything. */
export class World {
  readonly orders: OrderSide;
  readonly payments: PaymentSide;
  /** The order in each slot, once opened. */
  readonly ids = new Map<number, string>();
  /** The requests whose charge result the provider has returned. */
  readonly answered = new Set<string>();
  /** The stock if nothing had been sold. */
  readonly supply = new Map<string, number>();
  /** The webhooks that the provider has sent. */
  readonly webhooks: Webhook[] = [];
  private readonly readings = new Map<string, Reading>();
  private nowMs = Date.UTC(2026, 10, 21, 9, 30);
  private copies = 0;

  private constructor({ isAutomatic }: Setting) {
    const clock = { now: () => this.now };
    this.orders = new OrderSide(clock);
    this.payments = new PaymentSide(clock, { isAutomatic, ttlMs: TTL_MS });
  }

  static async of(setting: Setting): Promise<World> {
    const world = new World(setting);
    for (const productId of PRODUCTS) await world.put(productId, setting.stock, 100);
    return world;
  }

  get now(): Date {
    return new Date(this.nowMs);
  }

  wait(ms: number): void {
    this.nowMs += ms;
  }

  order(slot: number) {
    return this.orders.tables.orders.get(this.ids.get(slot) ?? '');
  }

  request(slot: number) {
    return this.payments.requestOf(this.ids.get(slot) ?? '');
  }

  slotOf(orderId: string): number | undefined {
    return SLOTS.find((slot) => this.ids.get(slot) === orderId);
  }

  /** An operator sets the stock and the price of a product. */
  async put(productId: string, stock: number, price: number) {
    // One product has another currency.
    const facts = { productId, name: productId, price, currency: productId === 'mug' ? 'CHF' : 'EUR', stock };
    const { orders } = this;
    const decision = await orders.database.request((tx) => orders.putProduct.execute(tx, facts, {}, 'operator:olga'));
    if (decision.accepted) this.supply.set(productId, stock + this.sold(productId));
    return decision;
  }

  sold(productId: string): number {
    return this.orders.held(productId, ({ status }) => status === 'COMPLETED' || status === 'FINISHED');
  }

  reserved(productId: string): number {
    return this.orders.held(productId, isReserved);
  }

  /** The messages of the order on the topic. */
  log(topic: Topic, slot: number): Message[] {
    const { messages } = (topic === 'order.events' ? this.orders : this.payments).tables;
    return messages.filter(({ orderId }) => orderId === this.ids.get(slot));
  }

  reading(topic: Topic, slot: number): Reading {
    const key = `${topic} ${slot}`;
    const reading = this.readings.get(key) ?? { next: 0, aside: [] };
    this.readings.set(key, reading);
    return reading;
  }

  next(topic: Topic, slot: number): Message | undefined {
    return this.log(topic, slot)[this.reading(topic, slot).next];
  }

  /** Delivers the next message to its consumer. Returns the reason why it must have had no effect, if there is one. */
  async deliver(topic: Topic, slot: number): Promise<string | undefined> {
    const message = this.next(topic, slot);
    const reading = this.reading(topic, slot);
    reading.next++;
    return message === undefined || reading.aside.includes(message) ? 'a dead letter' : this.receive(message);
  }

  /** Turns the next message into a dead letter that blocks no other message. */
  setAside(topic: Topic, slot: number): void {
    const message = this.next(topic, slot);
    const reading = this.reading(topic, slot);
    reading.next++;
    if (message) reading.aside.push(message);
  }

  /** An operator retries a dead letter. */
  async retry(topic: Topic, slot: number): Promise<string | undefined> {
    const message = this.reading(topic, slot).aside.shift();
    return message && this.receive(message);
  }

  /** Publishes another message with the same content, as from a service that has lost its state. */
  repeat(message: Message): void {
    this.publish({ ...message, repeats: message.repeats ?? message.id });
  }

  /** Publishes a message that contradicts its service. */
  contradict(message: Message, type: string): void {
    this.publish({ ...message, type, data: { ...message.data, reason: 'contradiction' }, isFabricated: true });
  }

  /** The provider sends the result of a charge, which does not arrive yet. */
  send({ id: paymentRequestId, orderId }: PaymentRequest, result: PaymentResult): void {
    this.webhooks.push({ id: `webhook ${this.webhooks.length + 1}`, paymentRequestId, orderId, result });
  }

  webhooksOf(slot: number): Webhook[] {
    return this.webhooks.filter(({ orderId }) => orderId === this.ids.get(slot));
  }

  /** The nth webhook of an order, or the first that has not arrived. */
  webhook(slot: number, nth: number | undefined): Webhook | undefined {
    const webhooks = this.webhooksOf(slot);
    return nth === undefined ? webhooks.find(({ id }) => !this.payments.tables.inbox.has(id)) : webhooks[nth];
  }

  /** Whether payment-service will still be told that the money arrived. */
  willReceiveResult(requestId: string): boolean {
    const { jobs, inbox } = this.payments.tables;
    const isNews = ({ id, paymentRequestId, result }: Webhook): boolean =>
      paymentRequestId === requestId && result.status === 'SUCCEEDED' && !inbox.has(id);
    return jobs.has(requestId) || this.webhooks.some(isNews);
  }

  jobOf(queue: string, slot: number): Job | undefined {
    const request = this.request(slot);
    return [...this.payments.tables.jobs.values()].find(
      (job) => job.queue === queue && job.paymentRequestId === request?.id,
    );
  }

  /** The calls to the provider that have not ended. */
  calls(slot: number) {
    return [...this.payments.provider.calls].filter(({ request }) => request.orderId === this.ids.get(slot));
  }

  /** Whether the consumer has received the message. */
  isReceived({ topic, id }: Message): boolean {
    return (topic === 'order.events' ? this.payments : this.orders).tables.inbox.has(id);
  }

  private publish(message: Message): void {
    const { messages } = (message.topic === 'order.events' ? this.orders : this.payments).tables;
    messages.push({ ...message, id: `${message.topic} copy ${++this.copies}` });
  }

  private async receive(message: Message): Promise<string | undefined> {
    const isNew = await (message.topic === 'order.events' ? this.payments : this.orders).receiveMessage(message);
    return isNew ? undefined : 'a duplicate message';
  }
}
