import { Logger } from '@nestjs/common';
import { describeError } from '../errors.js';
import { failureScope, refusal } from '../kafka/kafka-errors.js';
import { type connectProducer } from '../kafka/producer.js';
import { type OutboxRow } from '../message/message.js';
import { type TopicContract } from '../message/topic.js';
import { type MessagingOptions } from '../messaging-options.js';
import { type OutboxParkedStore } from './outbox-parked-store.js';
import { type ParkedKeys } from './parked-keys.js';
import { RecordBatches } from './record-batches.js';
import { type ReleasedKey } from './released-keys.js';
import { type Routes } from './routes.js';
import { Sender } from './sender.js';

const RELEASE_ROWS = 50;
/** If a service has several topics, an error that names no topic is attributed to the failing topic after this many attempts. */
const ATTEMPTS_BEFORE_BLOCKING = 3;

/** Thrown when a retried topic still fails. Its `cause` is the reason. */
export class TopicFailure extends Error {}

/** The outcome for released messages: some are left, none are left, Kafka rejected one, or their topic fails. */
export type Release = 'more' | 'done' | 'refused' | 'blocked';

/** What publishing needs of the leader's term. */
export interface PublishingTerm {
  /** Whether this process may publish now. Costs no query. */
  readonly mayPublish: () => boolean;
  readonly parkedStore: Pick<OutboxParkedStore, 'park' | 'markParkedDead' | 'readParked' | 'removeParked'>;
  readonly parked: ParkedKeys;
  readonly routes: Routes;
}

/** How a send handles messages that Kafka does not accept. */
interface Handling {
  /** Makes a message that Kafka rejects for its own contents a dead letter. */
  readonly deadLetter: (row: OutboxRow, error: string) => Promise<void>;
  /** Returns the messages that may still be sent. */
  readonly sendable: (rows: readonly OutboxRow[]) => Promise<readonly OutboxRow[]>;
  /** Called with the messages of a failing topic, all of one aggregate type, which must not be sent now. */
  readonly block: (rows: readonly OutboxRow[], error: unknown) => void;
  /** Whether an outage ends the send instead of being waited out. */
  readonly once?: boolean;
}

/**
 * Publishes rows to Kafka in order, for as long as it takes. If Kafka rejects a batch for its contents, the batch is bisected until
 * the offending message is isolated and becomes a dead letter. Every other failure is an outage and counts against no message.
 * An outage of one topic among several blocks its aggregate types, and the others continue.
 */
export class Publisher {
  private readonly logger = new Logger('Relay');
  private readonly sender: Sender;
  private readonly batches: RecordBatches;

  constructor(
    private readonly options: MessagingOptions,
    connect: typeof connectProducer,
    private readonly events: {
      /** Reports a failure and waits before the next attempt. */
      readonly onFailed: (what: string, error: unknown) => Promise<void>;
      readonly onSent: () => void;
    },
  ) {
    this.sender = new Sender(options, connect, () => {
      events.onSent();
      this.batches.accepted();
    });
    this.batches = new RecordBatches(this.sender.topics);
  }

  /** The contracts of the topics by aggregate type. */
  get topics(): ReadonlyMap<string, TopicContract> {
    return this.sender.topics;
  }

  /** Counts by topic name. */
  get counts(): Sender['counts'] {
    return this.sender.counts;
  }

  /**
   * Publishes rows. Returns when every row was acknowledged, parked, or left to `routes` because its type is blocked. Throws
   * TermOver when nothing may be sent any more.
   */
  async deliver(rows: readonly OutboxRow[], term: PublishingTerm): Promise<void> {
    const { routes } = term;
    for (const { aggregatetype, position } of rows)
      if (!this.topics.has(aggregatetype)) routes.block(aggregatetype, Number(position));
    const sendable = async (rest: readonly OutboxRow[]) => parkHeld(routes.skipBlocked(rest), term);
    const block = (failed: readonly OutboxRow[], error: unknown) => {
      const [first] = failed as [OutboxRow];
      routes.block(first.aggregatetype, Number(first.position), error);
      routes.skipBlocked(failed);
    };
    const handling = { deadLetter: this.deadLetterInto(term), sendable, block };
    // Checked again for each batch, because an earlier one may have blocked a type or parked a key.
    for (const batch of this.batches.of(await sendable(rows)))
      await this.sendWithRetries(await sendable(batch), term.mayPublish, handling);
  }

  /**
   * Publishes messages of one blocked type, and calls `onSent` after each batch. Throws TopicFailure if a batch fails.
   */
  async catchUp(
    rows: readonly OutboxRow[],
    term: PublishingTerm,
    onSent: (batch: readonly OutboxRow[]) => void,
  ): Promise<void> {
    const handling: Handling = {
      deadLetter: this.deadLetterInto(term),
      sendable: async (rest) => parkHeld(rest, term),
      block: (_, cause) => {
        throw new TopicFailure('the topic still fails', { cause });
      },
      once: true,
    };
    for (const batch of this.batches.of(rows)) {
      await this.sendWithRetries(await handling.sendable(batch), term.mayPublish, handling);
      onSent(batch);
    }
  }

  /** Publishes the next waiting parked messages of a key, only those before its next dead letter if it has one. */
  async release(
    key: ReleasedKey,
    { parkedStore, mayPublish }: PublishingTerm,
    block: (error: unknown) => void,
    once = false,
  ): Promise<Release> {
    const rows = await readReleased(key, parkedStore);
    let refused: OutboxRow | undefined;
    let blocked = false;
    const stopped = () => blocked || refused !== undefined;
    for (const batch of this.batches.of(rows)) {
      if (stopped()) break;
      await this.sendWithRetries(batch, mayPublish, {
        deadLetter: async (row, error) => {
          refused = row;
          await parkedStore.markParkedDead(row, error);
        },
        sendable: (rest) => Promise.resolve(stopped() ? [] : rest),
        block: (_, error) => {
          blocked = true;
          block(error);
        },
        once,
      });
    }
    if (blocked) return 'blocked';
    const published = refused ? rows.slice(0, rows.indexOf(refused)) : rows;
    const last = published.at(-1);
    if (last) {
      await parkedStore.removeParked(key, published);
      key.after = Number(last.position);
    }
    if (refused && this.options.afterDeadLetter !== 'go-on') return 'refused';
    return rows.length < RELEASE_ROWS && !refused ? 'done' : 'more';
  }

  /** Publishes released messages of a blocked type. Throws TopicFailure if that fails. */
  async probe(key: ReleasedKey, term: PublishingTerm): Promise<Release> {
    const block = (cause: unknown) => {
      throw new TopicFailure('the topic still fails', { cause });
    };
    return this.release(key, term, block, true);
  }

  /** Reports whether Kafka accepts the database's timestamps. */
  clockReport(): ReturnType<Sender['clockReport']> {
    return this.sender.clockReport();
  }

  async close(): Promise<void> {
    await this.sender.close();
  }

  private deadLetterInto({ parked, parkedStore }: PublishingTerm): Handling['deadLetter'] {
    return async (row, error) => {
      await parkedStore.park([row], error);
      if (this.options.afterDeadLetter !== 'go-on') parked.add(row);
    };
  }

  private async sendWithRetries(
    rows: readonly OutboxRow[],
    mayPublish: () => boolean,
    handling: Handling,
  ): Promise<void> {
    for (let failures = 0; rows.length > 0;) {
      const error = await this.sender.attempt(rows, mayPublish);
      if (error === undefined) return;
      const why = refusal(error);
      if (why === undefined) {
        rows = await this.afterOutage(rows, error, ++failures, mayPublish, handling);
        continue;
      }
      if (rows.length === 1) {
        const [row] = rows as [OutboxRow];
        await handling.deadLetter(row, describeError(error));
        for (const counts of this.sender.countsOf(rows)) counts.deadLetters++;
        const name = `${row.type} ${row.id} of ${row.aggregatetype} ${row.aggregateid}`;
        this.logger.error(`${name} is now a dead letter because Kafka rejected it: ${describeError(error)}`);
        return;
      }
      if (why === 'too large') this.batches.tooLarge(rows);
      const middle = Math.ceil(rows.length / 2);
      await this.sendWithRetries(rows.slice(0, middle), mayPublish, handling);
      rows = await handling.sendable(rows.slice(middle));
    }
  }

  /**
   * Finds out which topics fail by sending to each of them separately. Blocks a topic if the error concerns that topic or another
   * topic works. Waits if no row was sent or blocked. Returns the rows that are still to be sent.
   */
  private async afterOutage(
    rows: readonly OutboxRow[],
    error: unknown,
    failures: number,
    mayPublish: () => boolean,
    { block, once = false }: Handling,
  ): Promise<readonly OutboxRow[]> {
    for (const counts of this.sender.countsOf(rows)) counts.sendFailures++;
    const left = byType(rows, error);
    // kafkajs refreshes the metadata of all topics that a producer has used, so the failure may be another topic's. The next
    // attempt uses a new producer.
    const isOnlyTopic = left.size === 1;
    // A broken connection usually means that all of Kafka is down. One attempt for each topic would only take longer then.
    if (left.size > 1 && (failureScope(error) !== undefined || failures > 1))
      for (const [type, part] of left) {
        part.error = await this.sender.attempt(part.rows, mayPublish);
        if (part.error === undefined) left.delete(type);
      }
    const works = [...left.values()].reduce((sum, part) => sum + part.rows.length, 0) < rows.length;
    let blocked = false;
    for (const [type, part] of left) {
      if (!once && (this.topics.size === 1 || refusal(part.error) !== undefined)) continue;
      const scope = failureScope(part.error);
      const ofTopic =
        (scope === 'topic' && (!isOnlyTopic || failures > 1)) ||
        (scope === 'kafka' && failures >= ATTEMPTS_BEFORE_BLOCKING);
      if (!once && !works && !ofTopic) continue;
      left.delete(type);
      blocked = true;
      block(part.rows, part.error);
    }
    if (!works && !blocked)
      await this.events.onFailed(
        `${rows.length} messages were not acknowledged by Kafka and will be sent again`,
        error,
      );
    return rows.filter(({ aggregatetype }) => left.has(aggregatetype));
  }
}

/** Parks the messages whose key is held, and returns the others. */
async function parkHeld(
  rows: readonly OutboxRow[],
  { parked, parkedStore }: PublishingTerm,
): Promise<readonly OutboxRow[]> {
  const behind = rows.filter((row) => parked.has(row));
  if (behind.length > 0) await parkedStore.park(behind);
  return behind.length > 0 ? rows.filter((row) => !parked.has(row)) : rows;
}

/** Groups the rows by aggregate type. Until a type is tried on its own, `error` is the failure of all of them. */
function byType(rows: readonly OutboxRow[], error: unknown): Map<string, { rows: OutboxRow[]; error: unknown }> {
  const parts = new Map<string, { rows: OutboxRow[]; error: unknown }>();
  for (const row of rows) {
    const part = parts.get(row.aggregatetype);
    if (part) part.rows.push(row);
    else parts.set(row.aggregatetype, { rows: [row], error });
  }
  return parts;
}

/** Reads the next messages of a released key. Before it has none left, looks for messages that were parked late, at earlier positions. */
async function readReleased(key: ReleasedKey, parkedStore: PublishingTerm['parkedStore']): Promise<OutboxRow[]> {
  const rows = await parkedStore.readParked(key, key, RELEASE_ROWS);
  return rows.length === RELEASE_ROWS || key.after === undefined
    ? rows
    : parkedStore.readParked(key, { before: key.before }, RELEASE_ROWS);
}
