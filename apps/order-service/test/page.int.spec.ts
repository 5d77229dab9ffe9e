import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '@twinbox/messaging/testing';
import { blocksFor } from '@twinbox/test-support';
import { QUOTAS_FOR_LOAD } from '@twinbox/tools';
import { v7 as uuidv7 } from 'uuid';
import { type Replica, startWorld, type World } from './order-events.harness.js';

/** Runs the documented code with the `EventSource` of Node, and prints what it does. */
const page = (code: string, api: string, headers: object) => `
  ${code}
  const print = (line) => console.log(JSON.stringify(line));
  followOrders(${JSON.stringify(api)}, () => { print('ticket'); return ${JSON.stringify(headers)}; }, {
    load: () => print('load'),
    onStep: ({ orderId, type }) => print({ orderId, type }),
  });
  setInterval(() => {}, 1000);`;

let world: World;
let replica: Replica;
let child: ChildProcess;
const printed: string[] = [];
beforeAll(async () => {
  world = await startWorld({ STREAM_TICKET_TTL: '2s', ...QUOTAS_FOR_LOAD });
  replica = await world.startReplica();
});
afterAll(async () => {
  child.kill();
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  await world.stop();
});

const countOf = (line: unknown) => printed.filter((each) => each === JSON.stringify(line)).length;

it('P2 the documented page receives every step with an EventSource, over the expiry of its tickets', async () => {
  const ada = `customer ${uuidv7()}`;
  const customer = replica.as(ada);
  const place = async () => {
    const { body } = await customer.post('/orders', { items: [{ productId: 'tea', quantity: 1 }] });
    return { orderId: body.id, type: 'OrderPlaced' };
  };
  const [{ text } = { text: '' }] = await blocksFor('live updates in a page');
  const code = page(text, replica.url, { 'x-user-id': ada });
  child = spawn(process.execPath, ['--experimental-eventsource', '--no-warnings', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface({ input: child.stdout! }).on('line', (line) => printed.push(line));

  await until('the page loads', () => countOf('load') === 1);
  const placed = [await place()];
  await until('the step comes', () => countOf(placed[0]) > 0);
  // Some of these happen while the page has no stream.
  while (countOf('ticket') === 1) {
    placed.push(await place());
    await sleep(50);
  }
  await until('all steps come', () => placed.every((step) => countOf(step) > 0));

  expect(countOf('load')).toBe(1);
});
