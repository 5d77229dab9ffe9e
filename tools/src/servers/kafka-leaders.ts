import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { until } from './processes.js';

/** The topic whose partition leaders coordinate the consumer groups. */
const OFFSETS_TOPIC = '__consumer_offsets';
const IN_SYNC_MS = 60_000;
const MOVED_MS = 3000;
const ANSWER_MS = 5000;

/** The partition leaders of a Kafka cluster, and how to move them. */
export class KafkaLeaders {
  private readonly kafka: Kafka;

  /**
   * @param brokers host:port of each broker
   * @param topics the topics whose leaders are moved and compared, in addition to the coordinators of consumer groups
   */
  constructor(
    private readonly brokers: readonly string[],
    private readonly topics: readonly string[],
  ) {
    const timeouts = { connectionTimeout: 1000, requestTimeout: 3000 };
    this.kafka = new Kafka({ brokers: [...brokers], clientId: 'leaders', ...timeouts, logLevel: logLevel.NOTHING });
  }

  /**
   * Moves leaders to other brokers without an outage. Returns how many of the topics' leaders have moved.
   *
   * @param choose returns the index of the replica that should lead, of the given number of replicas
   * @param limitMs how long to wait until a leader has moved
   */
  async move(choose: (replicas: number) => number, limitMs = MOVED_MS): Promise<number> {
    return this.withAdmin(async (admin) => {
      const partitions = await partitionsOf(admin, [...this.topics, OFFSETS_TOPIC]);
      const before = new Map(partitions.map(({ name, leader }) => [name, leader]));
      const reassigned = partitions.map(({ topic, partition, replicas }) => {
        // The first replica is the preferred leader.
        const first = choose(replicas.length);
        return { topic, partition, replicas: [...replicas.slice(first), ...replicas.slice(0, first)] };
      });
      await admin.alterPartitionReassignments({
        topics: [...Map.groupBy(reassigned, ({ topic }) => topic)].map(([topic, assignment]) => ({
          topic,
          partitionAssignment: assignment.map(({ partition, replicas }) => ({ partition, replicas })),
        })),
      });
      await this.prefer();
      for (const end = performance.now() + limitMs; ; await delay(100)) {
        const after = await partitionsOf(admin, this.topics);
        const moved = after.filter(({ name, leader }) => before.get(name) !== leader).length;
        if (moved > 0 || performance.now() > end) return moved;
      }
    });
  }

  /** Waits until every replica is in sync, then returns the leadership of each partition to its preferred replica. */
  async settle(): Promise<void> {
    if (!(await until(() => this.areInSync().catch(() => false), IN_SYNC_MS)))
      throw new Error(`Not all replicas are in sync after ${IN_SYNC_MS / 1000} s`);
    await this.prefer();
  }

  /** Returns the node id of the broker that coordinates the group. */
  async coordinatorOf(groupId: string): Promise<number | undefined> {
    const partitions = await this.withAdmin((admin) => partitionsOf(admin, [OFFSETS_TOPIC]));
    return partitions.find(({ partition }) => partition === hash(groupId) % partitions.length)?.leader;
  }

  private async areInSync(): Promise<boolean> {
    const partitions = await this.withAdmin((admin) => partitionsOf(admin, [...this.topics, OFFSETS_TOPIC]));
    return partitions.length > 0 && partitions.every(({ isr, replicas }) => isr.length === replicas.length);
  }

  /** Has the preferred replica of every partition elected as its leader. kafkajs does not know the request. */
  private async prefer(): Promise<void> {
    // Any broker that answers forwards it to the controller.
    await Promise.any(this.brokers.map((broker) => request(broker, ELECT_PREFERRED_LEADERS)));
  }

  private async withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = this.kafka.admin();
    await admin.connect();
    try {
      return await work(admin);
    } finally {
      await admin.disconnect();
    }
  }
}

/**
 * ElectLeaders, version 0: length, API key 43, version, correlation id, no client id, null for all partitions, and a time limit in
 * milliseconds. https://kafka.apache.org/protocol#The_Messages_ElectLeaders
 */
const ELECT_PREFERRED_LEADERS = Buffer.from([
  0, 0, 0, 18, 0, 43, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 0, 0, 19, 136,
]);

async function request(broker: string, bytes: Buffer): Promise<void> {
  const [host = '', port] = broker.split(':');
  const socket = connect({ host, port: Number(port) });
  const signal = AbortSignal.timeout(ANSWER_MS);
  try {
    await once(socket, 'connect', { signal });
    socket.write(bytes);
    await once(socket, 'data', { signal });
  } finally {
    socket.destroy();
  }
}

async function partitionsOf(admin: Admin, topics: readonly string[]) {
  const { topics: found } = await admin.fetchTopicMetadata({ topics: [...topics] });
  return found.flatMap(({ name: topic, partitions }) =>
    partitions.map(({ partitionId: partition, leader, replicas, isr }) => {
      return { topic, partition, name: `${topic}/${partition}`, leader, replicas, isr };
    }),
  );
}

/** Java's String.hashCode without its sign, by which Kafka chooses the partition of a group. */
function hash(text: string): number {
  let value = 0;
  for (const char of text) value = (Math.imul(value, 31) + char.charCodeAt(0)) | 0;
  return value & 0x7f_ff_ff_ff;
}
