import { Agent, type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { PRODUCTS, productId } from './shop.js';

/** All who place orders. */
export const CUSTOMERS: readonly string[] = Array.from({ length: 1000 }, (_, n) => `customer-${n}`);

/** Returns a random customer. */
export const someCustomer = (): string => CUSTOMERS[upTo(CUSTOMERS.length)] ?? '';

const upTo = (n: number) => Math.floor(Math.random() * n);

/** What customers do with a shop, by any interface. */
export interface Trading {
  /** Orders two products. Returns the order's id, or undefined when the shop cannot accept it at the moment. */
  place(customerId: string): Promise<string | undefined>;
  /** Returns whether the shop answered. It may be unable to at the moment. */
  read(customerId: string, orderId: string): Promise<boolean>;
  close(): void;
}

/** Returns two products to order. */
export function someItems(): { readonly productId: string; readonly quantity: number }[] {
  const first = upTo(PRODUCTS);
  return [first, first + 1 + upTo(PRODUCTS - 1)].map((n) => ({ productId: productId(n), quantity: 1 + upTo(3) }));
}

/** Customers of a shop, who call its replicas in turn over persistent connections. */
export class Customers implements Trading {
  private readonly agent = new Agent({ keepAlive: true });
  private calls = 0;

  constructor(
    private readonly orderUrls: readonly string[],
    /** The access token of each customer; undefined if the services trust the header X-User-Id. */
    private readonly tokens?: Readonly<Record<string, string>>,
  ) {}

  async place(customerId: string): Promise<string | undefined> {
    const url = this.orderUrls[this.calls++ % this.orderUrls.length];
    const response = await this.call('POST', `${url}/orders`, customerId, JSON.stringify({ items: someItems() }));
    const answer = (await json(response)) as { id: string };
    if (response.statusCode === 503) return undefined;
    if (response.statusCode !== 201) throw new Error(`POST /orders: ${response.statusCode} ${JSON.stringify(answer)}`);
    return answer.id;
  }

  async read(customerId: string, orderId: string): Promise<boolean> {
    const url = this.orderUrls[this.calls++ % this.orderUrls.length];
    const response = await this.call('GET', `${url}/orders/${orderId}`, customerId);
    const answer = (await json(response)) as { id: string };
    if (response.statusCode === 503) return false;
    if (answer.id !== orderId) throw new Error(`GET /orders: ${response.statusCode} ${JSON.stringify(answer)}`);
    return true;
  }

  /** Calls `onStep` for each step of the given type in the customer's orders, as reported by the stream of one replica. */
  async watch(
    customerId: string,
    replica: number,
    onStep: (orderId: string) => void,
    wanted = 'OrderCompleted',
  ): Promise<void> {
    const url = this.orderUrls[replica % this.orderUrls.length];
    const response = await this.call('GET', `${url}/orders/events`, customerId);
    if (response.statusCode !== 200) throw new Error(`GET /orders/events: ${response.statusCode}`);
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (text + chunk).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        if (!line.startsWith('data: ')) continue;
        const { orderId, type } = JSON.parse(line.slice('data: '.length)) as { orderId: string; type: string };
        if (type === wanted) onStep(orderId);
      }
    });
  }

  close(): void {
    this.agent.destroy();
  }

  private call(method: string, url: string, customerId: string, body = ''): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = {
        ...(this.tokens ? { authorization: `Bearer ${this.tokens[customerId]}` } : { 'x-user-id': customerId }),
        ...(body !== '' && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      };
      request(url, { method, agent: this.agent, headers }, resolve).on('error', reject).end(body);
    });
  }
}
