import { setTimeout as delay } from 'node:timers/promises';
// @ts-expect-error -- kafkajs has no types for its inner parts
import ConsumerGroup from 'kafkajs/src/consumer/consumerGroup.js';

/** How a member of a group fetches; kafkajs has no public place for it. */
export interface FetchHooks {
  /** Nothing is fetched until it resolves. */
  held(): Promise<void> | undefined;
  /** Kafka has refused an offset; `held` decides what becomes of it. kafkajs would go to the beginning without a word. */
  readonly refused: ((partition: number, offset: bigint) => void) | undefined;
  /** Called before the member joins again, when Kafka still takes its offsets. Must be bounded in time. */
  leaving(): Promise<void>;
}

interface Group {
  readonly memberId: string | null;
  readonly offsetManager: { nextOffset(topic: string, partition: number): { toString(): string } };
  fetch: (this: Group, nodeId: unknown) => Promise<unknown[]>;
  joinAndSync: (this: Group) => Promise<void>;
  recoverFromOffsetOutOfRange: (this: Group, error: { topic: string; partition: number }) => Promise<void>;
}

/** As long as a fetch may take: between two, kafkajs sends its heartbeat. */
const HOLD_MS = 500;
const HOLD_LOOK_MS = 10;

/** By the member's id, which Kafka makes unique. */
const hooks = new Map<string, FetchHooks>();

/** From now on, until the returned function is called, the member fetches by these hooks. */
export function hookFetches(memberId: string, own: FetchHooks): () => void {
  hooks.set(memberId, own);
  return () => {
    if (hooks.get(memberId) === own) hooks.delete(memberId);
  };
}

function hooksOf({ memberId }: Group): FetchHooks | undefined {
  return memberId === null ? undefined : hooks.get(memberId);
}

/** Makes the consumers of this process ask their hooks. */
export function mendFetches(): void {
  const group = (ConsumerGroup as { prototype: Group }).prototype;
  const { fetch, joinAndSync, recoverFromOffsetOutOfRange } = group;
  group.fetch = async function (this: Group, nodeId) {
    // Asked again and again: whatever waits for the promise itself is kept in memory for as long as the search goes on.
    for (const end = performance.now() + HOLD_MS; hooksOf(this)?.held() !== undefined; await delay(HOLD_LOOK_MS))
      if (performance.now() > end) return [];
    return fetch.call(this, nodeId);
  };
  group.joinAndSync = async function (this: Group) {
    await hooksOf(this)?.leaving();
    return joinAndSync.call(this);
  };
  group.recoverFromOffsetOutOfRange = async function (this: Group, error) {
    const own = hooksOf(this);
    if (!own?.refused) return recoverFromOffsetOutOfRange.call(this, error);
    const { topic, partition } = error;
    own.refused(partition, BigInt(this.offsetManager.nextOffset(topic, partition).toString()));
  };
}
