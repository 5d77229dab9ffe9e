// Commits orders as fast as they go, on a thread of its own: the relay that is measured beside it keeps its own event loop.
import { parentPort, workerData } from 'node:worker_threads';
import { connect, PAYLOAD, PLACE_ORDER } from './outbox-table.js';

export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly ms: number;
}

const { url, connections, ms } = workerData as Load;
const clients = await Promise.all(Array.from({ length: connections }, () => connect(url)));
const end = performance.now() + ms;
let commits = 0;
await Promise.all(
  clients.map(async (client) => {
    for (; performance.now() < end; commits++)
      await client.query({ name: 'place', text: PLACE_ORDER, values: [PAYLOAD] });
  }),
);
await Promise.all(clients.map((client) => client.end()));
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
parentPort?.postMessage(commits);
