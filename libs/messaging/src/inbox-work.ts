import { type Logger } from '@nestjs/common';
import { type DataSource, type EntityManager } from 'typeorm';
import { type CrashMarks } from './crash-marks.js';
import { type Progress } from './health.js';
import { type InboxSettings } from './inbox-settings.js';
import { type InboxStore } from './inbox-store.js';
import { type KafkaRecord, type Message, type Reading } from './message.js';
import { type Setbacks } from './setbacks.js';
import { type Slots } from './slots.js';
import { backOffMs } from './waiting.js';

/** Messages that waited for the environment go on within a minute of its recovery. */
const MAX_SETBACK_MS = 60_000;

/** What both ways of a message to its handler share: from Kafka, and from the parked ones. */
export interface InboxWork {
  readonly settings: InboxSettings;
  readonly dataSource: DataSource;
  readonly store: InboxStore;
  readonly marks: CrashMarks;
  readonly slots: Slots;
  readonly counts: InboxCounts;
  readonly setbacks: Setbacks;
  /** What is in hand now. */
  readonly inFlight: Set<Progress>;
  readonly logger: Logger;
  readonly stopping: AbortSignal;
  read(record: KafkaRecord): Reading;
  handles(type: string): boolean;
  /** Runs the handler in the transaction; what it throws, this throws. */
  handle(tx: EntityManager, message: Message): Promise<void>;
}

/** Since the process started. */
export interface InboxCounts {
  processed: number;
  duplicates: number;
  passedOver: number;
  /** Ignored because no contract names their type. */
  unknownTypes: number;
  /** Attempts that a handler failed. */
  failedAttempts: number;
  /** Failures that were the environment's fault and did not count as attempts. */
  setbacks: number;
  parked: number;
  deadLetters: number;
  /** Messages that Kafka deleted before this consumer read them. */
  missed: number;
}

/** All at zero. */
export function noCounts(): InboxCounts {
  return {
    processed: 0,
    duplicates: 0,
    passedOver: 0,
    unknownTypes: 0,
    failedAttempts: 0,
    setbacks: 0,
    parked: 0,
    deadLetters: 0,
    missed: 0,
  };
}

/** What the log shows of a key. */
const MAX_KEY_BYTES = 255;

/** When a message that has failed so often is tried again; undefined: never. */
export function nextAttemptMs({ maxAttempts, backOff }: InboxSettings, attempts: number): number | undefined {
  if (attempts >= maxAttempts) return undefined;
  return backOffMs(Math.max(0, attempts - 1), backOff.firstMs, backOff.maxMs);
}

/** How long a message waits that the environment has failed so often, since it last failed by itself. */
export function afterSetbacksMs({ backOff: { firstMs, maxMs } }: InboxSettings, setbacks: number): number {
  return backOffMs(Math.max(0, setbacks - 1), firstMs, Math.max(firstMs, Math.min(maxMs, MAX_SETBACK_MS)));
}

/** The same for both of a message's ways, and short: one is kept for each message that meets setbacks. */
export function placeOf({ topic, partition, offset }: Pick<KafkaRecord, 'topic' | 'partition' | 'offset'>): string {
  return `${topic}/${partition}/${offset}`;
}

/** Names a message in the log: its type, id and place, and its key, which is the id of the aggregate that it is about. */
export function nameOf(
  record: Pick<KafkaRecord, 'topic' | 'partition' | 'offset'> & Partial<Pick<KafkaRecord, 'key'>>,
  { id, type }: { id?: string | undefined; type?: string | undefined } = {},
): string {
  const parts = [type ?? 'Message', ...(id === undefined ? [] : [id]), ...(record.key ? [keyText(record.key)] : [])];
  return `${parts.join(' ')} at ${placeOf(record)}`;
}

/** Anything but a plain name is quoted, and cut: whatever another producer wrote must not forge a line of the log. */
function keyText(key: Buffer): string {
  const text = key.subarray(0, MAX_KEY_BYTES).toString();
  return `of key ${/^[\w.:@+-]+$/.test(text) ? text : JSON.stringify(text)}`;
}
