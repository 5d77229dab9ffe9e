import { topicCleanup } from '../kafka/topics.js';
import { kafkaOptionsOf, type MessagingOptions } from '../messaging-options.js';
import { inboxRetentionOf, type TopicContract } from '../message/topic.js';

/** How long the settings of a topic are relied on. */
const FRESH_MS = 60_000;
const DAY_MS = 24 * 3600 * 1000;

/** Messages to copy to one topic. */
export interface Copies {
  /** The topic to which they are copied. */
  readonly topic: string;
  /** The contract of the originals. */
  readonly contract: TopicContract;
  /** When the oldest of them was added. */
  readonly oldest: Date;
}

/**
 * Checks that consumers still recognise copies as duplicates for as long as Kafka may keep them. Consumers forget the id of a message
 * some time after they handled it, which is not before it was added.
 */
export class CopyLimits {
  private readonly keptMs = new Map<string, { readonly ms: number; readonly until: number }>();

  constructor(private readonly options: MessagingOptions) {}

  /** Describes why copies may be handled as new messages, and what to do; undefined if they cannot. @throws if Kafka does not answer */
  async problemOf({ topic, contract, oldest }: Copies): Promise<string | undefined> {
    const keptMs = await this.keptBy(topic);
    const endsAt = Date.now() + keptMs;
    const forgetful = this.consumersOf(topic, contract).find(
      ({ remembersMs }) => remembersMs !== 0 && oldest.getTime() + remembersMs < endsAt,
    );
    if (!forgetful) return undefined;
    const { name, remembersMs } = forgetful;
    const kept = Number.isFinite(keptMs) ? `for ${days(keptMs)}` : 'for ever';
    const narrow = Number.isFinite(keptMs)
      ? `Replay only messages from after ${new Date(endsAt - remembersMs).toISOString()} (createdAfter), shorten retention.ms or segment.ms of ${topic}`
      : `Give ${topic} a retention.ms and the cleanup.policy delete`;
    return (
      `Effects may be repeated: ${topic} may keep a copy ${kept}, but ${name} forget a message ${days(remembersMs)} after handling it, ` +
      `and the oldest of these is from ${oldest.toISOString()}. ${narrow}, or raise inboxRetentionMs. ` +
      'Pass force only if no consumer of the topic handled these messages, or handling them twice does no harm'
    );
  }

  private async keptBy(topic: string): Promise<number> {
    const known = this.keptMs.get(topic);
    if (known && performance.now() < known.until) return known.ms;
    const { oldestMs: ms } = await topicCleanup(kafkaOptionsOf(this.options), topic);
    this.keptMs.set(topic, { ms, until: performance.now() + FRESH_MS });
    return ms;
  }

  /** The consumers of this service, and those of others, which are known only by what the contract asks of them. */
  private consumersOf(topic: string, contract: TopicContract): { name: string; remembersMs: number }[] {
    const own = this.options.consumes.filter((consumer) => consumer.topic.name === topic);
    return [
      ...own.map((consumer) => ({
        name: `processes of the consumer ${consumer.groupId}`,
        remembersMs: inboxRetentionOf(consumer.topic, consumer.inboxRetentionMs),
      })),
      { name: 'consumers according to the contract', remembersMs: inboxRetentionOf(contract) },
    ];
  }
}

function days(ms: number): string {
  return ms < DAY_MS ? `${Math.round(ms / 1000)} s` : `${Math.round((10 * ms) / DAY_MS) / 10} days`;
}
