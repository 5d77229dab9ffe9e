import { createHmac } from 'node:crypto';
import { type OpenApiDocument, type WorstInput, worstInputs } from '@twinbox/tools';
import { type Figure, median } from '../support/figures.js';
import { startServices } from '../saga/services.js';
import { openShop } from '../saga/shop.js';
import { type Servers } from '../support/servers.js';

const GOAL_MS = 20;
const KEY = Buffer.alloc(32, 7);
const WEBHOOK_SECRET = `whsec_${KEY.toString('base64')}`;
const OPERATOR = { 'x-user-id': 'ops', 'x-roles': 'operator' };

/** Measures, for each route, the slowest rejection among all requests that make the service do as much work as their size allows. */
export async function worstInput(servers: Servers): Promise<Figure[]> {
  const shop = await openShop(servers);
  try {
    const env: typeof shop.env = (name) => ({ ...shop.env(name), WEBHOOK_SECRET });
    const services = await startServices({ ...shop, env }, [{}]);
    try {
      const figures: Figure[] = [];
      const urls = [...services.orderUrls, ...services.paymentUrls];
      const beginRound = servers.rounds(urls.length);
      for (const url of urls) {
        beginRound();
        figures.push(...(await worstOf(url, servers.quick ? 3 : 15)));
      }
      return figures;
    } finally {
      await services.stop();
    }
  } finally {
    await shop.close();
  }
}

async function worstOf(url: string, rounds: number): Promise<Figure[]> {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as OpenApiDocument;
  const worst = new Map<string, { readonly times: readonly number[]; readonly what: string }>();
  for (const input of worstInputs(document)) {
    const name = `${input.method} ${input.route}`;
    const times = await rejectionTimes(url, input, rounds);
    if (times && median(times) > median(worst.get(name)?.times ?? [0])) worst.set(name, { times, what: input.what });
  }
  return [...worst].map(([name, { times, what }]) => ({
    what: `${name}, ${what}, rejected in ms`,
    value: `${median(times).toFixed(1)} (${Math.min(...times).toFixed(1)})`,
    goal: `≤ ${GOAL_MS}`,
  }));
}

/** Returns the times from before each request to the end of its answer; undefined when the request is not rejected. */
async function rejectionTimes(url: string, input: WorstInput, rounds: number): Promise<number[] | undefined> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const headers = headersFor(input);
    const began = performance.now();
    const { status, body } = await fetch(url + input.path, {
      method: input.method,
      headers,
      ...(input.body !== undefined && { body: input.body }),
    });
    for await (const _ of body ?? []);
    times.push(performance.now() - began);
    if (status < 400) return undefined;
    if (status >= 500) throw new Error(`${input.method} ${input.route}: ${input.what}: ${status}`);
  }
  return times;
}

function headersFor({ route, body }: WorstInput): Record<string, string> {
  const type = body === undefined ? undefined : { 'content-type': 'application/json' };
  return { ...type, ...(route.startsWith('/webhooks') ? signed(body ?? '') : OPERATOR) };
}

/** Signs a body according to Standard Webhooks, so that it is read. */
function signed(body: string): Record<string, string> {
  const [id, at] = ['msg_worst', Math.floor(Date.now() / 1000)];
  const signature = createHmac('sha256', KEY).update(`${id}.${at}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': `v1,${signature}` };
}
