import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { messagingNotReady } from './readiness.js';

let server: Server;
let answer: { readonly status: number; readonly components: object };
let url: string;

beforeAll(async () => {
  server = createServer((_, response) => {
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ details: { messaging: { components: answer.components } } }));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/health/messaging`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const running = { relay: { role: 'standby' }, 'inbox orders': { joins: 1 }, jobs: {}, incidents: {} };

it.each([
  ['the relay', { ...running, relay: { role: 'disconnected' } }],
  ['a consumer', { ...running, 'inbox notifications': { joins: 0 } }],
])('messaging is not ready while %s is not running', async (_, components) => {
  answer = { status: 200, components };

  expect(await messagingNotReady(url)).toMatch(/^(relay|inbox notifications) is not running yet/);
});

it('messaging is ready once relay and consumers are running, even with an old incident open', async () => {
  answer = { status: 503, components: { ...running, incidents: { healthy: false } } };

  expect(await messagingNotReady(url)).toBeUndefined();
});

it('messaging is not ready while the service does not respond', async () => {
  expect(await messagingNotReady('http://127.0.0.1:9/')).toBe('http://127.0.0.1:9/ returns no health report');
});
