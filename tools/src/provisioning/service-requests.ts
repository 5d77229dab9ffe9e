import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DemoOrder } from './demo-scenarios.js';
import { tokenRequest } from './token-request.js';

export const ORDERS = process.env['ORDER_URL'] ?? 'http://127.0.0.1:8081';
export const PAYMENTS = process.env['PAYMENT_URL'] ?? 'http://127.0.0.1:8082';
export const OPERATOR = { 'x-user-id': 'ops', 'x-roles': 'operator' };

export type Headers = Readonly<Record<string, string>>;

/** An order as order-service returns it. */
export interface Order {
  readonly id: string;
  readonly status: string;
  readonly description: string | null;
  readonly items: DemoOrder['items'];
  readonly cancelReason: string | null;
  readonly payment: {
    readonly paymentRequestId: string;
    readonly status: string;
  } | null;
}

/** A response that is no success, or no response at all. */
export class RequestFailed extends Error {
  constructor(
    message: string,
    readonly status?: number,
  ) {
    super(message);
  }
}

/** Where the users of the demo get access tokens, each with its name as the password. Undefined if the services trust X-User-Id. */
const TOKEN_URL = process.env['AUTH_MODE'] === 'jwt' ? process.env['TOKEN_URL'] : undefined;
const tokens = new Map<string, Promise<string>>();

/** Adds the access token of the user that the headers name, if the services require one. */
async function authorized(headers: Headers): Promise<Headers> {
  const user = headers['x-user-id'];
  if (!TOKEN_URL || user === undefined) return headers;
  let token = tokens.get(user);
  if (!token) tokens.set(user, (token = fetchToken(TOKEN_URL, user)));
  return { ...headers, authorization: `Bearer ${await token}` };
}

async function fetchToken(url: string, user: string): Promise<string> {
  const answer = await send<{ access_token: string }>(url, tokenRequest(user));
  return answer.access_token;
}

/** Sends a request. Retries for a while after a network failure or a 5xx, because the services may still be starting. */
async function send<T>(url: string, init: RequestInit): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) });
      const text = await response.text();
      if (response.ok) return JSON.parse(text) as T;
      if (response.status < 500 || attempt === 10)
        throw new RequestFailed(`${init.method ?? 'GET'} ${url}: ${response.status} ${text}`, response.status);
    } catch (error) {
      if (error instanceof RequestFailed) throw error;
      if (attempt === 10) throw new RequestFailed(`${url}: ${(error as Error).message}`);
    }
    await sleep(500);
  }
}

export async function get<T>(url: string, headers: Headers): Promise<T> {
  return send(url, { headers: await authorized(headers) });
}

export async function post<T>(url: string, caller: Headers, body?: object): Promise<T> {
  const headers = await authorized(caller);
  if (!body) return send(url, { method: 'POST', headers });
  const json = { 'content-type': 'application/json' };
  return send(url, { method: 'POST', headers: { ...headers, ...json }, body: JSON.stringify(body) });
}

/** Waits until the order meets the condition: its payment takes a moment, because it goes through Kafka and back. */
export async function waitForOrder(id: string, condition: (order: Order) => boolean): Promise<Order> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const order = await get<Order>(`${ORDERS}/orders/${id}`, OPERATOR);
    if (condition(order)) return order;
    if (Date.now() > deadline)
      throw new RequestFailed(`Order ${id} is still ${order.status} after 60 s. Can both services reach Kafka?`);
    await sleep(50);
  }
}

/** Sends a webhook in place of the payment provider, signed according to https://www.standardwebhooks.com. */
export async function sendWebhook(secret: string, id: string, body: object): Promise<void> {
  const timestamp = `${Math.floor(Date.now() / 1000)}`;
  const text = JSON.stringify(body);
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${text}`).digest('base64');
  await send(`${PAYMENTS}/webhooks/payments`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${signature}`,
    },
    body: text,
  });
}
