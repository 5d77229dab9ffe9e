import { Logger } from '@nestjs/common';
import { type DataSource } from 'typeorm';
import { describeError, InvalidInputError, PermanentError } from '../errors.js';
import { type OutboxRow } from '../message/message.js';
import { type MessagingOptions } from '../messaging-options.js';
import { RELAY } from '../operations/known-pauses.js';
import { type DueWork } from '../poll/due-work.js';
import { inTransaction } from '../postgres/transaction.js';
import { TermOver } from '../relay/sender.js';
import { refuseOptions } from '../stored-operations/check-options.js';
import {
  type Json,
  type OperationFilter,
  type OperationKind,
  type OperationOptions,
  type OperationPreview,
  type OperationStep,
  type RunningOperation,
  SHOWN_ITEMS,
  type StepContext,
} from '../stored-operations/operation-kind.js';
import { CopyLimits } from './copy-limits.js';
import { CopyPublisher } from './copy-publisher.js';
import { type ReplayFilter, replayFilter } from './replay-filter.js';
import { type ReplayCount, ReplayStore } from './replay-store.js';
import { type ReplayTarget, replayTargets } from './replay-targets.js';

/** How many statements without a match a step makes. It saves its progress in between. */
const SEARCHES = 20;
/** An unused producer is closed after this time, which is also how long it can delay the end of the process. */
const IDLE_MS = 2000;

/** How far a replay has come. `partitions` is the number that the other topic had when the first copy was sent to it. */
interface ReplayProgress {
  readonly next: number;
  readonly to: number;
  readonly partitions?: number | undefined;
}

/**
 * Publishes messages again that the outbox still keeps and the relay has published, in the order of their positions, so that the copies of
 * a key stay in order. A copy has the id and the headers of the original, and the header `twinbox-replay` with the operation's id.
 *
 * Copies are sent first and the progress is saved afterwards. A process that dies in between leaves a step that the next one sends again,
 * so copies may be repeated, but a key's copies never occur in another order for the first time. While the relay is paused, nothing is
 * replayed either.
 */
export class ReplayOperation implements OperationKind {
  readonly name = 'replay';
  private readonly store: ReplayStore;
  private readonly limits: CopyLimits;
  private publisher: CopyPublisher | undefined;
  private targets: ReadonlyMap<string, ReplayTarget> = new Map();
  private idle: NodeJS.Timeout | undefined;
  private readonly logger = new Logger('Operations');

  constructor(
    private readonly options: MessagingOptions,
    private readonly dueWork: DueWork,
  ) {
    this.store = new ReplayStore(options.schema);
    this.limits = new CopyLimits(options);
  }

  check(filter: OperationFilter, options: OperationOptions): void {
    replayFilter(filter);
    refuseOptions(this.name, options, 'canary');
    if (options.topic?.startsWith('__')) throw new InvalidInputError(`${options.topic} is a topic of Kafka's own`);
  }

  /**
   * @throws InvalidInputError if nothing is recorded as published, a topic does not exist, or consumers may no longer recognise the copies and
   *   `force` is not given
   */
  async preview(
    db: DataSource,
    filter: OperationFilter,
    asOf: string,
    options: OperationOptions,
  ): Promise<OperationPreview> {
    const range = await this.store.rangeOf(db, replayFilter(filter), asOf);
    if (range.published.position === 0)
      throw new InvalidInputError(
        'The relay has not published anything. Only what it records as published can be replayed, which excludes what Debezium published',
      );
    const count = await this.store.count(db, range, SHOWN_ITEMS);
    const targets = await replayTargets(this.options, [...count.oldest.keys()], options.topic);
    if (options.force !== true) await this.refuseRisk(count, targets);
    const first = count.first.map((item) => ({ ...item, topic: targets.get(item.aggregateType)?.to.name }));
    return { total: count.total, totalIsExact: count.totalIsExact, first };
  }

  async step(operation: RunningOperation, atMost: number, context: StepContext): Promise<OperationStep> {
    if (this.dueWork.pauses.stops('relay', RELAY)) throw new Error('The relay is paused, so nothing is published');
    const { dataSource } = context;
    const filter = replayFilter(operation.filter);
    const before = await this.begin(operation, filter, dataSource);
    const { rows, next } = await this.find(operation, filter, before, atMost, context);
    const partitions = rows.length === 0 ? before.partitions : await this.prepare(operation, rows, before);
    const { sent, error } = rows.length === 0 ? { sent: 0 } : await this.send(rows, operation, context);
    if (error !== undefined && sent === 0 && !(error instanceof TermOver)) throw error;
    const last = rows[sent - 1];
    const reached = sent === rows.length ? (next ?? before.to + 1) : Number(last?.position ?? before.next - 1) + 1;
    const step = {
      progress: { ...before, partitions, next: reached } as unknown as Json,
      done: sent,
      failed: 0,
      more: reached <= before.to,
    };
    await inTransaction(dataSource, async (tx) => context.save(tx, step));
    if (!step.more) await this.close();
    return step;
  }

  /** Returns the progress. The first step fixes which positions are read. */
  private async begin(operation: RunningOperation, filter: ReplayFilter, db: DataSource): Promise<ReplayProgress> {
    const saved = operation.progress as unknown as ReplayProgress | null;
    if (saved) return saved;
    const { from, to } = await this.store.rangeOf(db, filter, operation.asOf);
    return { next: from, to };
  }

  /**
   * Makes sure that there is a publisher for the operation and the topics of these rows. The topics of other aggregate types may be
   * missing. Returns the number of partitions of the other topic.
   */
  private async prepare(
    { id, options: { topic } }: RunningOperation,
    rows: readonly OutboxRow[],
    before: ReplayProgress,
  ): Promise<number | undefined> {
    const isCurrent = this.publisher?.operation === id;
    const needed = rows.map(({ aggregatetype }) => aggregatetype);
    if (!isCurrent || needed.some((type) => !this.targets.has(type))) {
      await this.close();
      const types = new Set([...(isCurrent ? this.targets.keys() : []), ...needed]);
      this.targets = await this.targetsOf([...types], topic);
      const topics = [...this.targets.values()].map(({ to }) => to);
      this.publisher = new CopyPublisher(this.options, id, topics);
    }
    if (topic === undefined) return undefined;
    const partitions = [...this.targets.values()][0]?.to.partitions;
    if (before.partitions !== undefined && before.partitions !== partitions)
      throw new PermanentError(
        `The number of partitions of ${topic} has changed, so keys would move. Replay to it again`,
      );
    return partitions;
  }

  private async targetsOf(types: readonly string[], topic: string | undefined) {
    try {
      return await replayTargets(this.options, types, topic);
    } catch (error) {
      if (error instanceof InvalidInputError) throw new PermanentError(error.message);
      throw error;
    }
  }

  /** Finds the next messages. Without any for a while, returns where to go on. */
  private async find(
    { asOf }: RunningOperation,
    filter: ReplayFilter,
    { next: from, to }: ReplayProgress,
    atMost: number,
    { dataSource, mayGoOn }: StepContext,
  ): Promise<{ readonly rows: readonly OutboxRow[]; readonly next: number | undefined }> {
    const published = await this.store.published(dataSource);
    let found = { rows: [] as readonly OutboxRow[], next: from as number | undefined };
    for (let n = 0; n < SEARCHES && found.rows.length === 0 && found.next !== undefined && mayGoOn(); n++)
      found = await this.store.read(dataSource, { filter, asOf, published, from: found.next, to }, atMost);
    return found;
  }

  private async send(
    rows: readonly OutboxRow[],
    { options }: RunningOperation,
    { mayGoOn }: StepContext,
  ): Promise<{ sent: number; error?: unknown }> {
    if (options.force !== true) await this.refuseRisk(countOf(rows), this.targets, PermanentError);
    clearTimeout(this.idle);
    const mayPublish = () => mayGoOn() && !this.dueWork.pauses.stops('relay', RELAY);
    const { count, error } = (await this.publisher?.send(rows, mayPublish)) ?? { count: 0 };
    this.idle = setTimeout(() => void this.close(), IDLE_MS);
    if (error !== undefined && !(error instanceof TermOver))
      this.logger.debug(`${rows.length - count} copies were not acknowledged: ${describeError(error)}`);
    return { sent: count, error };
  }

  /** @throws InvalidInputError, or another error, if consumers may no longer recognise the copies */
  private async refuseRisk(
    { oldest }: Pick<ReplayCount, 'oldest'>,
    targets: ReadonlyMap<string, ReplayTarget>,
    As: new (text: string) => Error = InvalidInputError,
  ): Promise<void> {
    for (const [aggregateType, since] of oldest) {
      const target = targets.get(aggregateType);
      const problem = target && (await this.limits.problemOf({ ...target, topic: target.to.name, oldest: since }));
      if (problem !== undefined) throw new As(problem);
    }
  }

  private async close(): Promise<void> {
    clearTimeout(this.idle);
    const { publisher } = this;
    this.publisher = undefined;
    await publisher?.close();
  }
}

/** Returns when the oldest of the messages was added, by aggregate type. */
function countOf(rows: readonly OutboxRow[]): Pick<ReplayCount, 'oldest'> {
  const oldest = new Map<string, Date>();
  for (const { aggregatetype, timestamp } of rows)
    oldest.set(aggregatetype, new Date(Math.min(Number(timestamp), oldest.get(aggregatetype)?.getTime() ?? Infinity)));
  return { oldest };
}
