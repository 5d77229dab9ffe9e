import { type PaymentRequest, type PaymentResult } from '../../apps/payment-service/src/domain/payment-request.js';
import { type Message, type Topic } from './memory.js';
import { isReserved, OrderSide } from './order-side.js';
import { type Job, PaymentSide, type Webhook } from './payment-side.js';

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

/** How a reader of a topic stands to one key. */
interface Reading {
  /** How many of its messages were read. */
  next: number;
  /** Messages that could not be read, until a person has them tried again. */
  readonly aside: Message[];
}

/** Both services, the topics between them, the provider, and the time. Nothing moves unless it is told to. */
export class World {
  readonly orders: OrderSide;
  readonly payments: PaymentSide;
  /** The order of each slot, once it is opened. */
  readonly ids = new Map<number, string>();
  /** The requests of which the provider has answered how their charge ended. */
  readonly answered = new Set<string>();
  /** What would be on the shelf had nothing been sold since the shop opened. */
  readonly supply = new Map<string, number>();
  /** What the provider has sent. */
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

  /** An operator says how many pieces of the product are on the shelf, and what it costs. */
  async put(productId: string, stock: number, price: number) {
    // One product of another currency.
    const facts = { productId, name: productId, price, currency: productId === 'mug' ? 'CHF' : 'EUR', stock };
    const { orders } = this;
    const decision = await orders.database.request((tx) => orders.putProduct.execute(tx, facts, {}));
    if (decision.accepted) this.supply.set(productId, stock + this.sold(productId));
    return decision;
  }

  sold(productId: string): number {
    return this.orders.held(productId, ({ status }) => status === 'COMPLETED' || status === 'FINISHED');
  }

  reserved(productId: string): number {
    return this.orders.held(productId, isReserved);
  }

  /** What the topic has of the order, in order. */
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

  /** The next message is handed to the service that reads the topic. Why nothing came of it, if so. */
  async deliver(topic: Topic, slot: number): Promise<string | undefined> {
    const message = this.next(topic, slot);
    const reading = this.reading(topic, slot);
    reading.next++;
    return message === undefined || reading.aside.includes(message) ? 'a dead letter' : this.hear(message);
  }

  /** The next message cannot be read: a dead letter that holds back nothing. */
  setAside(topic: Topic, slot: number): void {
    const message = this.next(topic, slot);
    const reading = this.reading(topic, slot);
    reading.next++;
    if (message) reading.aside.push(message);
  }

  /** A person has a dead letter tried again. */
  async retry(topic: Topic, slot: number): Promise<string | undefined> {
    const message = this.reading(topic, slot).aside.shift();
    return message && this.hear(message);
  }

  /** A message says once more what another has said, as from a service that has lost its memory. */
  repeat(message: Message): void {
    this.publish({ ...message, repeats: message.repeats ?? message.id });
  }

  /** A message says what its service never meant. */
  contradict(message: Message, type: string): void {
    this.publish({ ...message, type, data: { ...message.data, reason: 'contradiction' }, isUntrue: true });
  }

  /** The provider tells by itself how the charge of the request has ended; it does not arrive yet. */
  send({ id: paymentRequestId, orderId }: PaymentRequest, result: PaymentResult): void {
    this.webhooks.push({ id: `webhook ${this.webhooks.length + 1}`, paymentRequestId, orderId, result });
  }

  webhooksOf(slot: number): Webhook[] {
    return this.webhooks.filter(({ orderId }) => orderId === this.ids.get(slot));
  }

  /** The nth of an order, or the first that has not arrived. */
  webhook(slot: number, nth: number | undefined): Webhook | undefined {
    const webhooks = this.webhooksOf(slot);
    return nth === undefined ? webhooks.find(({ id }) => !this.payments.tables.inbox.has(id)) : webhooks[nth];
  }

  /** Somebody has yet to tell payment-service that the money has come. */
  willHearOfMoney(requestId: string): boolean {
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

  /** The calls of the provider that wait for their end. */
  calls(slot: number) {
    return [...this.payments.provider.calls].filter(({ request }) => request.orderId === this.ids.get(slot));
  }

  /** Whether its reader's inbox has it. */
  isHeard({ topic, id }: Message): boolean {
    return (topic === 'order.events' ? this.payments : this.orders).tables.inbox.has(id);
  }

  private publish(message: Message): void {
    const { messages } = (message.topic === 'order.events' ? this.orders : this.payments).tables;
    messages.push({ ...message, id: `${message.topic} copy ${++this.copies}` });
  }

  private async hear(message: Message): Promise<string | undefined> {
    const isNew = await (message.topic === 'order.events' ? this.payments : this.orders).hear(message);
    return isNew ? undefined : 'a known message';
  }
}
