import { type Logger } from '@nestjs/common';
import { type DataSource, type EntityManager } from 'typeorm';
import { CrashMarks } from './crash-marks.js';
import { WorkClock } from '../operations/health.js';
import { type InboxCounts, noCounts } from '../operations/inbox-counts.js';
import { type InboxSettings, inboxSettings } from './inbox-settings.js';
import { InboxStore } from './inbox-store.js';
import { type KafkaRecord, type Message, type Reading } from '../message/message.js';
import { readMessage } from '../message/read-message.js';
import { type InboxOptions } from '../messaging-options.js';
import { Setbacks } from '../postgres/setbacks.js';
import { Slots } from './slots.js';
import { backOffMs } from '../waiting.js';

/** Messages that were delayed by the environment are retried within a minute of its recovery. */
const MAX_SETBACK_MS = 60_000;

/** Shared by the two paths of a message to its handler: straight from Kafka, and from the parked messages. */
export interface InboxWork {
  /** The consumer group. */
  readonly groupId: string;
  readonly settings: InboxSettings;
  readonly dataSource: DataSource;
  readonly store: InboxStore;
  readonly crashMarks: CrashMarks;
  readonly slots: Slots;
  readonly counts: InboxCounts;
  readonly setbacks: Setbacks;
  /** The progress of the work in flight. */
  readonly inFlight: Set<WorkClock>;
  readonly logger: Logger;
  readonly stopping: AbortSignal;
  /** Whether nothing may be started now, because an operator has paused the consumer or the pauses are not known yet. */
  isPaused(): boolean;
  read(record: KafkaRecord): Reading;
  handles(type: string): boolean;
  /** Runs the handler in the transaction. Rethrows the handler's errors unchanged. */
  handle(tx: EntityManager, message: Message): Promise<void>;
}

/** Runs work in flight. Health reports it when it keeps failing or does not end. */
export async function tracked<T>({ inFlight }: InboxWork, run: (progress: WorkClock) => Promise<T>): Promise<T> {
  const progress = new WorkClock();
  progress.begun();
  inFlight.add(progress);
  try {
    return await run(progress);
  } finally {
    inFlight.delete(progress);
  }
}

/** Puts together what the paths of an inbox share. @throws for an invalid option */
export function inboxWork(
  schema: string,
  options: InboxOptions,
  own: Pick<InboxWork, 'dataSource' | 'logger' | 'stopping' | 'isPaused' | 'handles' | 'handle'>,
): InboxWork {
  const { groupId, topic } = options;
  const settings = inboxSettings(options);
  const counts = noCounts();
  return {
    ...own,
    groupId,
    settings,
    store: new InboxStore(schema, groupId, settings.deadLettersHoldKeys),
    crashMarks: new CrashMarks(schema, groupId),
    slots: new Slots(settings.concurrency),
    counts,
    setbacks: new Setbacks(
      () => counts.processed,
      (line) => own.logger.warn(line),
    ),
    inFlight: new Set(),
    read: (record) => readMessage(record, topic),
  };
}

/** The longest part of a key that the log shows. */
const MAX_KEY_BYTES = 255;

/** Returns the delay before the next attempt after this many failed ones, or undefined if there is none. */
export function nextAttemptMs({ maxAttempts, backOff }: InboxSettings, attempts: number): number | undefined {
  if (attempts >= maxAttempts) return undefined;
  return backOffMs(Math.max(0, attempts - 1), backOff.firstMs, backOff.maxMs);
}

/** Returns the delay before the next attempt after this many setbacks since the message last failed by itself. */
export function afterSetbacksMs({ backOff: { firstMs, maxMs } }: InboxSettings, setbacks: number): number {
  return backOffMs(Math.max(0, setbacks - 1), firstMs, Math.max(firstMs, Math.min(maxMs, MAX_SETBACK_MS)));
}

/** Returns the place of a message: the same on both paths, and short, because one is kept for each message with setbacks. */
export function placeOf({ topic, partition, offset }: Pick<KafkaRecord, 'topic' | 'partition' | 'offset'>): string {
  return `${topic}/${partition}/${offset}`;
}

/** Names a message in the log by its type, id, place and key, which is the id of its aggregate. */
export function nameOf(
  record: Pick<KafkaRecord, 'topic' | 'partition' | 'offset'> & Partial<Pick<KafkaRecord, 'key'>>,
  { id, type }: { id?: string | undefined; type?: string | undefined } = {},
): string {
  const parts = [type ?? 'Message', ...(id === undefined ? [] : [id]), ...(record.key ? [keyText(record.key)] : [])];
  return `${parts.join(' ')} at ${placeOf(record)}`;
}

/** Quotes and cuts anything but a plain name, so that a key written by another producer cannot forge a log line. */
function keyText(key: Buffer): string {
  const text = key.subarray(0, MAX_KEY_BYTES).toString();
  return `of key ${/^[\w.:@+-]+$/.test(text) ? text : JSON.stringify(text)}`;
}
