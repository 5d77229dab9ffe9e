import { setTimeout as delay } from 'node:timers/promises';
import { until } from '@twinbox/messaging/testing';
import { type Child, startChild } from '../support/child.js';
import { type Figure, median } from '../support/figures.js';
import { createWorld, seed, type Servers, type World } from '../support/servers.js';

/** Measures how long nothing is published after the leader has ended. */
export async function takeover(servers: Servers): Promise<Figure[]> {
  const killed: number[] = [];
  const terminated: number[] = [];
  const world = await createWorld(servers);
  let leader: Child<unknown> | undefined;
  let standby: Child<unknown> | undefined;
  try {
    leader = await startChild('relay', world);
    await publishesOne(world);
    const rounds = servers.quick ? 2 : 10;
    const beginRound = servers.rounds(rounds);
    for (let round = 0; round < rounds; round++) {
      beginRound();
      standby = await startChild('relay', world);
      // Lets the standby connect and ask for the lease. The random part spreads the ends over the time between two renewals.
      await delay(1500 + Math.random() * 1000);
      const list = round % 2 === 0 ? killed : terminated;
      const goneAt = performance.now();
      if (list === killed) await leader.kill();
      else leader.terminate();
      await publishesOne(world);
      list.push(performance.now() - goneAt);
      leader = standby;
      standby = undefined;
    }
  } finally {
    await leader?.kill();
    await standby?.kill();
    await world.close();
  }
  const figure = (what: string, values: readonly number[], goal: string): Figure => ({
    what: `take-over after ${what}, median / longest in ms`,
    value: `${median(values).toFixed(0)} / ${Math.max(...values).toFixed(0)}`,
    goal,
  });
  return [figure('SIGKILL', killed, '≤ 5,000'), figure('SIGTERM', terminated, 'immediate')];
}

async function publishesOne(world: World): Promise<void> {
  const before = await world.published();
  await seed(world, 1);
  await until('the message is published', async () => (await world.published()) > before);
}
