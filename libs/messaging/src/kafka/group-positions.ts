import { type Consumer } from 'kafkajs';
import { kafkaJsLogger, type KafkaOptions } from './client.js';
import { describeError } from '../errors.js';
import { groupOffsets } from './group-offsets.js';
import { type Offsets } from './offset-commits.js';
import { type KafkaFacts } from './partition-start.js';

/** Kafka's part in positioning, as seen by a member of the group. */
export interface GroupPositions {
  facts(): Promise<ReadonlyMap<number, KafkaFacts>>;
  readFrom(partition: number, offset: bigint): void;
  /** Never throws. After a failure Kafka's offset is the lower one, or the next member corrects it. */
  commit(offsets: ReadonlyMap<number, bigint>): Promise<void>;
}

/** Returns Kafka's part in positioning a member of the group, which commits offsets with `commit`. */
export function groupPositions(
  options: KafkaOptions & { readonly groupId: string; readonly topic: string },
  consumer: Consumer,
  commit: (offsets: Offsets) => Promise<void>,
): GroupPositions {
  const { groupId, topic } = options;
  return {
    async facts() {
      const offsets = await groupOffsets(options, { groupId, topic });
      return new Map(offsets.map(({ partition, ...facts }) => [partition, facts]));
    },
    readFrom: (partition, offset) => consumer.seek({ topic, partition, offset: String(offset) }),
    async commit(offsets) {
      const texts = new Map([...offsets].map(([partition, offset]) => [partition, String(offset)]));
      await commit(texts).catch((error: unknown) =>
        kafkaJsLogger.debug(`Cannot commit the offsets of ${groupId} on ${topic}: ${describeError(error)}`),
      );
    },
  };
}
