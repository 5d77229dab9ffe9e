import { setTimeout as delay } from 'node:timers/promises';
import { startChild } from '../support/child.js';
import { type RelayResult } from '../processes/relay.js';
import { createWorld, seed, type Servers } from '../support/servers.js';
import { cpuOf, type CpuPerMessage } from '../support/usage.js';

export interface Drain {
  readonly perSecond: number;
  readonly peakMb: number;
  /** The rate of the last tenth divided by that of the first. */
  readonly lastOverFirst: number;
  readonly cpu: CpuPerMessage | undefined;
}

const TIMEOUT_MS = 600_000;

/** Starts a relay on a backlog and measures, by the topic's end offsets, from its first batch on. */
export async function drain(servers: Servers, messages: number): Promise<Drain> {
  const world = await createWorld(servers);
  try {
    await seed(world, messages);
    const relay = await startChild<RelayResult>('relay', world);
    const cpuPerMessage = await cpuOf(servers, { relay: [relay.pid] });
    // The relay publishes while the processes of the servers are looked for.
    const before = await world.published();
    const seen = await watch(() => world.published(), messages);
    const cpu = await cpuPerMessage(messages - before);
    const { peakMb } = await relay.stop();
    return { ...seen, peakMb, cpu };
  } finally {
    await world.close();
  }
}

/** Waits until so many messages are published, and measures from the first batch on. */
export async function watch(
  published: () => Promise<number>,
  messages: number,
): Promise<Pick<Drain, 'perSecond' | 'lastOverFirst'>> {
  const seen: { at: number; count: number }[] = [];
  const end = performance.now() + TIMEOUT_MS;
  for (let count = 0; count < messages;) {
    if (performance.now() > end) throw new Error(`only ${count} of ${messages} messages were published`);
    await delay(25);
    count = await published();
    if (count > 0 && count !== seen.at(-1)?.count) seen.push({ at: performance.now(), count });
  }
  const rate = (from: number, to: number) => {
    const first = seen.find(({ count }) => count >= from * messages) ?? seen[0];
    const last = seen.find(({ count }) => count >= to * messages) ?? seen.at(-1);
    return first && last ? ((last.count - first.count) / (last.at - first.at)) * 1000 : Number.NaN;
  };
  return { perSecond: rate(0, 1), lastOverFirst: rate(0.9, 1) / rate(0, 0.1) };
}
