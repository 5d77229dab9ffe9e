import { Logger } from '@nestjs/common';
import { type Waiting } from '../log/cursor.js';
import { describeError } from '../errors.js';
import { type OutboxRow } from '../message/message.js';
import { type TopicContract } from '../message/topic.js';
import { backOffMs } from '../waiting.js';

const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 5000;
/** A slow attempt delays the other topics, so the wait after it is this multiple of its duration. */
const WAIT_PER_ATTEMPT = 4;
const REMIND_EVERY_MS = 5 * 60_000;
/** A topic that fails for less time, for example while its leader moves, is not reported as unhealthy. */
const UNHEALTHY_AFTER_MS = 5000;

const ADVICE =
  'Check that it exists and that this service may write to it. The waiting messages are then published in order';

/** A blocked aggregate type, whose messages wait in the outbox, as shown in health. */
export interface BlockedType {
  readonly aggregateType: string;
  /** Missing if no topic is declared for the type. */
  readonly topic?: string;
  readonly problem: string;
  readonly since: string;
  /** How many of its messages the relay has skipped. */
  readonly messages: number;
}

interface Blocked {
  from: number;
  messages: number;
  problem: string;
  readonly since: number;
  attempts: number;
  retryAt: number;
  remindAt: number;
}

/**
 * Tracks the aggregate types that cannot be published during one term, because no topic is declared for them or their topic fails
 * while others work. The relay skips their messages, which stay in the outbox, and publishes them in order once it can.
 */
export class Routes {
  private readonly blocked = new Map<string, Blocked>();
  private snapshot: ReadonlyMap<string, Waiting>;
  private changed = false;

  /** `waiting` has the blocked types from the lease row at the start of the term. */
  constructor(
    private readonly topics: ReadonlyMap<string, TopicContract>,
    private readonly logger: Logger,
    waiting: ReadonlyMap<string, Waiting> = new Map(),
  ) {
    this.snapshot = waiting;
    for (const [type, { from, messages }] of waiting) {
      this.add(type, from, messages, this.topics.has(type) ? 'its messages are not published yet' : undeclared(type));
      if (!this.topics.has(type)) this.logger.error(`${undeclared(type)}. Other types are still published.`);
    }
  }

  /** The blocked types to record in the lease row. */
  get waiting(): ReadonlyMap<string, Waiting> {
    if (this.changed) {
      this.changed = false;
      this.snapshot = new Map([...this.blocked].map(([type, { from, messages }]) => [type, { from, messages }]));
    }
    return this.snapshot;
  }

  blocks(aggregateType: string): boolean {
    return this.blocked.size > 0 && this.blocked.has(aggregateType);
  }

  isDeclared(aggregateType: string): boolean {
    return this.topics.has(aggregateType);
  }

  /** Blocks the messages of the type from position `from` on. Without an error the type has no topic. */
  block(aggregateType: string, from: number, error?: unknown): void {
    if (this.blocked.has(aggregateType)) return;
    const problem = error === undefined ? undeclared(aggregateType) : describeError(error);
    const blocked = this.add(aggregateType, from, 0, problem);
    if (error !== undefined) this.postpone(blocked, 0);
    const topic = this.topics.get(aggregateType)?.name;
    if (topic === undefined) this.logger.error(`${problem}. Other types are still published.`);
    else
      this.logger.warn(
        `Messages of ${aggregateType} are blocked because topic ${topic} fails: ${problem}. Other types are still published.`,
      );
  }

  /** Removes the messages of blocked types from the rows to send, and counts them as waiting. */
  skipBlocked(rows: readonly OutboxRow[]): readonly OutboxRow[] {
    if (this.blocked.size === 0) return rows;
    return rows.filter(({ aggregatetype, position }) => {
      const blocked = this.blocked.get(aggregatetype);
      if (!blocked) return true;
      blocked.messages++;
      // A message that was committed late lies before the others.
      blocked.from = Math.min(blocked.from, Number(position));
      this.changed = true;
      return false;
    });
  }

  /** Returns the blocked types to retry now, each with the position to continue from. */
  due(now = performance.now()): { aggregateType: string; from: number }[] {
    const due: { aggregateType: string; from: number }[] = [];
    for (const [aggregateType, blocked] of this.blocked) {
      if (now >= blocked.remindAt) {
        blocked.remindAt = now + REMIND_EVERY_MS;
        this.logger.warn(`${blocked.messages} messages of ${aggregateType} are still blocked: ${blocked.problem}`);
      }
      if (now >= blocked.retryAt && this.topics.has(aggregateType)) due.push({ aggregateType, from: blocked.from });
    }
    return due;
  }

  /** Whether any blocked type should be retried now. */
  someDue(): boolean {
    return this.blocked.size > 0 && this.due().length > 0;
  }

  /** Records that `messages` of a blocked type were published, and that the next one is at `from` or later. */
  advanced(aggregateType: string, from: number, messages: number): void {
    const blocked = this.blocked.get(aggregateType);
    if (!blocked) return;
    blocked.from = Math.max(blocked.from, from);
    blocked.messages = Math.max(0, blocked.messages - messages);
    if (messages > 0) blocked.attempts = 0;
    this.changed = true;
  }

  /** Records a failed attempt to publish messages of a blocked type, which took `tookMs`. */
  failed(aggregateType: string, error: unknown, tookMs: number): void {
    const blocked = this.blocked.get(aggregateType);
    if (!blocked) return;
    blocked.problem = describeError(error);
    this.postpone(blocked, tookMs);
  }

  /** Called when the relay has published all messages of the type that it had skipped. */
  unblock(aggregateType: string): void {
    if (this.blocked.delete(aggregateType)) this.logger.log(`Messages of ${aggregateType} are published again`);
    this.changed = true;
  }

  /** Reports the blocked types, and whether they make the relay unhealthy yet. */
  report(now = performance.now()): { healthy: boolean; problem?: string; blocked?: readonly BlockedType[] } {
    if (this.blocked.size === 0) return { healthy: true };
    const blocked = [...this.blocked].map(([aggregateType, { problem, since, messages }]) => {
      const topic = this.topics.get(aggregateType)?.name;
      return {
        aggregateType,
        ...(topic !== undefined && { topic }),
        problem: topic === undefined ? problem : `topic ${topic}: ${problem}. ${ADVICE}`,
        since: new Date(Date.now() - (now - since)).toISOString(),
        messages,
      };
    });
    const [first] = blocked;
    return {
      healthy: [...this.blocked].every(
        ([type, { since }]) => this.topics.has(type) && now - since < UNHEALTHY_AFTER_MS,
      ),
      ...(first && { problem: `messages of ${first.aggregateType} are blocked: ${first.problem}` }),
      blocked,
    };
  }

  private add(aggregateType: string, from: number, messages: number, problem: string): Blocked {
    const now = performance.now();
    const blocked = { from, messages, problem, since: now, attempts: 0, retryAt: now, remindAt: now + REMIND_EVERY_MS };
    this.blocked.set(aggregateType, blocked);
    this.changed = true;
    return blocked;
  }

  private postpone(blocked: Blocked, tookMs: number): void {
    const waitMs = backOffMs(blocked.attempts++, FIRST_RETRY_MS, LAST_RETRY_MS);
    blocked.retryAt = performance.now() + Math.max(waitMs, WAIT_PER_ATTEMPT * tookMs);
  }
}

function undeclared(aggregateType: string): string {
  return (
    `no topic is declared for aggregate type ${aggregateType}, so its messages wait in the outbox. ` +
    'Deploy a version that declares one'
  );
}
