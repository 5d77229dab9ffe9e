import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OperationalError } from '../errors.js';
import { contextOf, removeData, serverOf } from './kafka.js';
import { type ClusterMember } from './kafka-definition.js';
import { downloadJars, findJava } from './kafka-jars.js';
import { clusterId, NodeOnJava } from './kafka-on-java.js';
import { type KafkaContext, type KafkaOptions, type KafkaServer } from './kafka-server.js';
import { steadyPorts } from './ports.js';

export { KafkaLeaders } from './kafka-leaders.js';

/** Several KRaft nodes, each of which is a broker and a controller. Every node is started, stopped, killed and paused on its own. */
export interface KafkaCluster {
  /** host:port of every node, the format of KAFKA_BROKERS. */
  readonly brokers: string;
  /** The node ids are 1, 2 and so on. `remove` of a node is for the cluster only. */
  readonly nodes: readonly KafkaServer[];
  /** Stops all nodes and deletes their data. */
  remove(): Promise<void>;
}

export interface KafkaClusterOptions extends Omit<KafkaOptions, 'port'> {
  /** The number of nodes. Default: 3. */
  readonly size?: number;
}

/**
 * Starts a cluster with the settings of the `kafka` service in docker-compose.yml, and returns when every node accepts requests. New
 * topics have three copies, two of which acknowledge, if there are as many nodes. It runs with Java from Kafka's own jars even where a
 * Docker engine is running, because docker-compose.yml defines a single container. The nodes' logs are `<logFile>-<node id>.log`
 * without the extension of `logFile`.
 */
export async function startKafkaCluster({ size = 3, ...options }: KafkaClusterOptions = {}): Promise<KafkaCluster> {
  const context = await contextOf(options);
  const java = await findJava();
  if (!java) throw new OperationalError('A cluster of Kafka runs from its jars, but Java 17 or newer was not found');
  const jars = await downloadJars(context);
  // Ports that no outgoing connection gets while a node is down.
  const ports = await steadyPorts(2 * size);
  const controllerPorts = new Map(ports.slice(size).map((port, n) => [n + 1, port]));
  const id = clusterId();
  const make = async (port: number, n: number): Promise<KafkaServer> => {
    const nodeContext = contextOfNode(context, n + 1);
    await mkdir(nodeContext.dataDir, { recursive: true });
    const member: ClusterMember = { nodeId: n + 1, controllerPorts, clusterId: id };
    const node = new NodeOnJava(nodeContext, java, jars, port, member);
    return serverOf(node, port, () => removeData(nodeContext, options.logFile !== undefined));
  };
  const nodes = await Promise.all(ports.slice(0, size).map(make));
  const remove = async () => {
    await Promise.all(nodes.map((node) => node.remove()));
    await rm(context.dataDir, { recursive: true, force: true });
  };
  try {
    // At once, because a controller serves only when a majority of them is running.
    await Promise.all(nodes.map((node) => node.start()));
  } catch (error) {
    await remove();
    throw error;
  }
  return { brokers: nodes.map(({ brokers }) => brokers).join(','), nodes, remove };
}

function contextOfNode(context: KafkaContext, nodeId: number): KafkaContext {
  return {
    ...context,
    dataDir: join(context.dataDir, `node-${nodeId}`),
    logFile: `${context.logFile.replace(/\.log$/, '')}-${nodeId}.log`,
  };
}
