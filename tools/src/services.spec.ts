import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { missingOfMessaging } from './services.js';

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
])('messaging does not run while %s does not', async (_, components) => {
  answer = { status: 200, components };

  expect(await missingOfMessaging(url)).toMatch(/^(relay|inbox notifications) does not run yet/);
});

it('messaging runs once all of it does, even when an old incident is open', async () => {
  answer = { status: 503, components: { ...running, incidents: { healthy: false } } };

  expect(await missingOfMessaging(url)).toBeUndefined();
});

it('messaging does not run while nobody answers', async () => {
  expect(await missingOfMessaging('http://127.0.0.1:9/')).toBe('http://127.0.0.1:9/');
});
