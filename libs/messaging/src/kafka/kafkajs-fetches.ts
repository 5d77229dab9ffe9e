import { setTimeout as delay } from 'node:timers/promises';
// @ts-expect-error -- kafkajs has no types for its internals
import ConsumerGroup from 'kafkajs/src/consumer/consumerGroup.js';

/** Hooks into how a member of a group fetches, for which kafkajs has no public API. */
export interface FetchHooks {
  /** Whether fetches are suspended now. */
  suspended(): boolean;
  /** Called when Kafka rejects an offset; `suspended` then stops fetches. kafkajs alone would silently start from the beginning. */
  readonly refused: ((partition: number, offset: bigint) => void) | undefined;
  /** Called when all that was fetched of a partition, up to this offset, is something else than messages, such as transaction markers. */
  skipped(partition: number, lastOffset: string): void;
  /** Called before the member rejoins, while Kafka still accepts its offsets. Must be bounded in time. */
  leaving(): Promise<void>;
}

interface FetchedBatch {
  readonly topic: string;
  readonly partition: number;
  isEmptyDueToFiltering: () => boolean;
  lastOffset: () => string;
}

interface Group {
  readonly memberId: string | null;
  readonly offsetManager: { nextOffset(topic: string, partition: number): { toString(): string } };
  hasSeekOffset: (this: Group, of: { topic: string; partition: number }) => boolean;
  fetch: (this: Group, nodeId: unknown) => Promise<FetchedBatch[]>;
  joinAndSync: (this: Group) => Promise<void>;
  recoverFromOffsetOutOfRange: (this: Group, error: { topic: string; partition: number }) => Promise<void>;
}

/** A suspended fetch returns nothing after this time, because kafkajs sends heartbeats between fetches. */
const SUSPENDED_FETCH_MS = 500;
const SUSPENDED_POLL_MS = 10;

/** Hooks by member id. Kafka makes the ids unique. */
const hooks = new Map<string, FetchHooks>();

/** Installs hooks for a member, and returns the function that removes them. */
export function hookFetches(memberId: string, own: FetchHooks): () => void {
  hooks.set(memberId, own);
  return () => {
    if (hooks.get(memberId) === own) hooks.delete(memberId);
  };
}

function hooksOf({ memberId }: Group): FetchHooks | undefined {
  return memberId === null ? undefined : hooks.get(memberId);
}

/** Patches kafkajs so that the consumers of this process call their hooks. */
export function patchFetches(): void {
  const group = (ConsumerGroup as { prototype: Group }).prototype;
  const { fetch, joinAndSync, recoverFromOffsetOutOfRange } = group;
  group.fetch = async function (this: Group, nodeId) {
    for (const end = performance.now() + SUSPENDED_FETCH_MS; hooksOf(this)?.suspended(); await delay(SUSPENDED_POLL_MS))
      if (performance.now() > end) return [];
    const own = hooksOf(this);
    const batches = await fetch.call(this, nodeId);
    // Otherwise the group rebalanced meanwhile, and the partitions may belong to other members.
    if (own && hooksOf(this) === own) reportSkipped(this, own, batches);
    return batches;
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

/** A partition that was repositioned during the fetch is fetched again from its new offset. */
function reportSkipped(group: Group, own: FetchHooks, batches: readonly FetchedBatch[]): void {
  for (const batch of batches)
    if (batch.isEmptyDueToFiltering() && !group.hasSeekOffset(batch)) own.skipped(batch.partition, batch.lastOffset());
}
