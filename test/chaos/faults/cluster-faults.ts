import { CONSUMERS, type System } from '../system/system.js';
import { Random } from '../random.js';
import { type CLUSTER_FAULTS, type Fault, linksTo, type ServerName } from './schedule.js';

/**
 * Injects a fault that only a cluster can have, and ends it after `lasting`. Returns the broker or the number of partitions that it has
 * hit, or false if nothing has changed.
 */
export async function injectIntoCluster(
  system: System,
  fault: Extract<Fault, { kind: (typeof CLUSTER_FAULTS)[number] }>,
  lasting: () => Promise<unknown>,
): Promise<string | false> {
  const random = new Random(fault.atMs);
  switch (fault.kind) {
    case 'coordinator killed':
      return killCoordinator(system, random.oneOf<(typeof CONSUMERS)[number]>(CONSUMERS).groupId, lasting);
    case 'broker cut off': {
      const links = linksTo(fault.target, [...system.links.keys()]).flatMap((name) => system.links.get(name) ?? []);
      const silently = random.next() < 0.5;
      for (const link of links)
        if (silently) link.silence();
        else link.cut();
      await lasting();
      for (const link of links) link.heal();
      return fault.target;
    }
    case 'leaders moved': {
      // Fails if a broker that it asks is down.
      const moved = await system.leaders?.move((replicas) => random.between(0, replicas - 1)).catch(() => 0);
      return moved ? `${moved} partitions` : false;
    }
  }
}

/** Kills the broker that coordinates the group, and lets it start again after another one has taken over. */
async function killCoordinator(
  { leaders, servers }: System,
  groupId: string,
  lasting: () => Promise<unknown>,
): Promise<string | false> {
  const coordinator = async (): Promise<ServerName> => `kafka-${(await leaders?.coordinatorOf(groupId)) ?? 0}`;
  const killed = await coordinator().catch(() => undefined);
  const broker = killed && servers.get(killed);
  if (!leaders || !broker) return false;
  await broker.kill();
  await lasting();
  const successor = await coordinator().catch(() => killed);
  await broker.start();
  await leaders.settle();
  // While the partition of the group has no leader, Kafka names broker -1.
  return successor !== killed && servers.has(successor) ? killed : false;
}

/** Waits until a broker that was down has caught up and leads again, because only then may another one fail. */
export async function settleBroker({ leaders }: System, server: ServerName): Promise<void> {
  if (server.startsWith('kafka-')) await leaders?.settle();
}
