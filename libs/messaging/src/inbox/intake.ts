import { setImmediate } from 'node:timers/promises';
import { type EntityManager } from 'typeorm';
import { allDone } from '../postgres/all-done.js';
import { type PartitionMarks, type Run } from './crash-marks.js';
import { describeError } from '../errors.js';
import { FetchPace } from './fetch-pace.js';
import { Gather } from '../postgres/gather.js';
import { WorkClock } from '../operations/health.js';
import { IgnoredMessages } from './ignored-messages.js';
import { type Entry, InboxAttempts } from './inbox-attempts.js';
import { type Mark, type MarkedRefs, type MessageRef } from './inbox-store.js';
import { inTransaction } from '../postgres/transaction.js';
import { type InboxWork, nameOf } from './inbox-work.js';
import { type Batch } from '../kafka/batch.js';
import { type KafkaRecord, type Message, type Reading } from '../message/message.js';
import { backOffMs, pause } from '../waiting.js';

/** Attempts at a message blocked by lock contention before it is parked, so that its partition can move on. */
const CONTENDED_TRIES = 5;
/** How long parsing may block the event loop before it yields. */
const READING_MS = 50;
/** The most messages of one partition that share a transaction with group commit. */
const GROUP_SIZE = 200;

/** Messages of one partition that share a transaction, in order. */
interface Group {
  readonly entries: readonly Entry[];
  readonly inFlight: InFlightBatch;
}

type MarkedRun = Run & { readonly mark: Mark };

/** Processes Kafka batches: every record ends up handled, dropped as a duplicate, ignored, parked or a dead letter. */
export class InboxBatches {
  private partitions = new Map<number, Promise<PartitionMarks>>();
  private readonly attempts: InboxAttempts;
  private readonly ignored: IgnoredMessages;
  private readonly pace = new FetchPace();
  /** Combines runs, and with group commit groups, that several partitions deliver at the same time. */
  private readonly beginnings: Gather<MarkedRefs, Set<number>>;
  private readonly groups: Gather<Group, ReadonlySet<Entry>>;

  constructor(
    private readonly work: InboxWork,
    onParked: (dueInMs: number) => void,
  ) {
    this.attempts = new InboxAttempts(work, onParked);
    this.ignored = new IgnoredMessages(work);
    this.beginnings = new Gather({
      writeAll: (runs) => work.slots.use(async () => work.store.begin(work.dataSource, runs)),
    });
    this.groups = new Gather({ writeAll: (groups) => work.slots.use(async () => this.takeTogether(groups)) });
  }

  /** Called after a rebalance: the marks that other processes left have to be looked up again. */
  joined(): void {
    this.partitions = new Map();
  }

  /** Processes a batch. The next fetch begins only when the batches of the current one have returned. */
  async take(batch: Batch): Promise<void> {
    const fetch = this.pace.fetched(batch, performance.now());
    await this.process(batch);
    const restMs = this.work.settings.groupCommit ? this.pace.restMs(fetch, performance.now()) : 0;
    if (restMs > 0) await pause(restMs, this.work.stopping);
  }

  private async process(batch: Batch): Promise<void> {
    const [first] = batch.records;
    if (!first) return;
    const inFlight = new InFlightBatch(batch, this.work.stopping);
    let marks: PartitionMarks | undefined;
    await this.persist(first, inFlight, async () => {
      marks = await this.marksOf(first);
    });
    if (!marks) return;
    for (const run of marks.runs(batch.records)) {
      if (inFlight.abandoned) break;
      await this.takeRun(run, marks, inFlight);
    }
    if (inFlight.abandoned) await marks.remove(this.work.dataSource);
    else await marks.settled(this.work.dataSource, batch.records.at(-1) ?? first);
  }

  private async marksOf({ topic, partition }: KafkaRecord): Promise<PartitionMarks> {
    let marks = this.partitions.get(partition);
    if (!marks) {
      marks = this.work.marks.ofPartition(this.work.dataSource, topic, partition);
      this.partitions.set(partition, marks);
      marks.catch(() => this.partitions.delete(partition));
    }
    return marks;
  }

  private async takeRun(run: Run, marks: PartitionMarks, inFlight: InFlightBatch): Promise<void> {
    const { work } = this;
    const received: Entry[] = [];
    let since = performance.now();
    for (const record of run.records) {
      // Parsing a batch of large messages takes long, and heartbeats must not stall meanwhile.
      if (performance.now() - since > READING_MS) {
        await setImmediate();
        if (inFlight.abandoned) return;
        since = performance.now();
      }
      const reading = work.read(record);
      if (this.ignored.take(reading)) inFlight.settled(record);
      else received.push({ record, reading });
    }

    const [first] = received;
    if (!first) return;
    const marked = { ...run, mark: marks.markOf(run) };
    const fresh = await this.begin(first.record, received, marked.mark, marks, inFlight);
    if (!fresh) return;
    if (work.settings.groupCommit && !run.suspect) await this.takeGroups(fresh, marked, inFlight);
    else await this.takeEach(fresh, marked, inFlight);
  }

  /** Writes the mark, and drops messages that the inbox has already recorded or that occur earlier in the run. */
  private async begin(
    first: KafkaRecord,
    received: readonly Entry[],
    mark: Mark,
    marks: PartitionMarks,
    inFlight: InFlightBatch,
  ): Promise<Entry[] | undefined> {
    const refs = received.map(({ reading }) => refOf(reading));
    let known: Set<number> | undefined;
    await this.persist(
      first,
      inFlight,
      async () => {
        known = await this.beginnings.write({ mark, refs });
      },
      { takes: 'no slot' },
    );
    const duplicates = known;
    if (!duplicates) {
      await marks.abandoned(this.work.dataSource, mark);
      return undefined;
    }
    marks.written(mark);

    const seen = new Set<string>();
    return received.filter((entry, n) => {
      const { id = '', source = '' } = refs[n] ?? {};
      const name = nameOfMessage({ id, source });
      if (id !== '' && (duplicates.has(n) || seen.has(name))) {
        this.work.counts.duplicates++;
        // Settling the second copy in a run early is safe: offsets are resolved in order, so the first still has to be settled.
        inFlight.settled(entry.record);
        return false;
      }
      seen.add(name);
      return true;
    });
  }

  /** Handles each key's messages in order, and different keys concurrently. */
  private async takeEach(entries: readonly Entry[], run: MarkedRun, inFlight: InFlightBatch): Promise<void> {
    const chains = Map.groupBy(entries, ({ record }) => keyOf(record)).values();
    const workers = Array.from({ length: this.work.settings.concurrency }, async () => {
      for (const chain of chains)
        for (const entry of chain) {
          if (inFlight.abandoned) return;
          await this.settle(entry, inFlight, run);
        }
    });
    await Promise.all(workers);
  }

  /** Handles many messages in one transaction, and then those that could not be handled that way individually. */
  private async takeGroups(entries: readonly Entry[], run: MarkedRun, inFlight: InFlightBatch): Promise<void> {
    for (let start = 0; start < entries.length && !inFlight.abandoned; start += GROUP_SIZE) {
      const group = entries.slice(start, start + GROUP_SIZE);
      const done = await this.groups.write({ entries: group, inFlight });
      for (const entry of done) inFlight.settled(entry.record);
      // Before the next group: a later message of a key must not overtake an earlier one.
      await this.takeEach(
        group.filter((entry) => !done.has(entry)),
        run,
        inFlight,
      );
    }
  }

  /** Handles all groups in one transaction and returns the handled entries of each; none if it fails. Never throws. */
  private async takeTogether(groups: readonly Group[]): Promise<ReadonlySet<Entry>[]> {
    const { work } = this;
    // A batch may have been abandoned while it waited for its turn.
    const entries = groups.flatMap((group) => (group.inFlight.abandoned ? [] : group.entries));
    const none = groups.map(() => new Set<Entry>());
    // An unreadable message becomes a dead letter that may hold its key, so later messages of the key must wait for that.
    const broken = new Set(entries.filter(({ reading }) => !reading.readable).map(({ record }) => keyOf(record)));
    // A second copy of a message, from another partition, is left for the next attempt, which finds it in the inbox.
    const readable = new Map<string, { readonly entry: Entry; readonly message: Message }>();
    for (const entry of entries) {
      if (!entry.reading.readable || broken.has(keyOf(entry.record))) continue;
      const { message } = entry.reading;
      const name = nameOfMessage(message);
      if (!readable.has(name)) readable.set(name, { entry, message });
    }
    const messages = [...readable.values()];
    if (messages.length === 0) return none;
    const progress = this.track();
    let handling = false;
    try {
      const done = await inTransaction(work.dataSource, async (tx) => {
        const fresh = await work.store.recordAll(
          tx,
          messages.map(({ message }) => message),
        );
        const recorded = messages.filter((_, n) => fresh.has(n));
        handling = true;
        await this.handleAll(
          tx,
          recorded.map(({ message }) => message),
        );
        return new Set(recorded.map(({ entry }) => entry));
      });
      work.counts.processed += done.size;
      return groups.map((group) => new Set(group.entries.filter((entry) => done.has(entry))));
    } catch (error) {
      const text = `Handling ${entries.length} messages individually, because group commit failed: ${describeError(error)}`;
      // A handler's error is reported when its message also fails individually.
      if (handling) work.logger.debug(text);
      else work.logger.warn(text);
      return none;
    } finally {
      work.inFlight.delete(progress);
    }
  }

  /**
   * Handles each key's messages in order. Different keys run concurrently if the connection can pipeline statements, so that the
   * writes of all their handlers can be combined into one statement.
   */
  private async handleAll(tx: EntityManager, messages: readonly Message[]): Promise<void> {
    const chains = Map.groupBy(messages, ({ key }) => key).values();
    const client = (await tx.queryRunner?.connect()) as { readonly pipeline?: boolean } | undefined;
    const workers = Array.from({ length: client?.pipeline ? messages.length : 1 }, async () => {
      for (const chain of chains) for (const message of chain) await this.work.handle(tx, message);
    });
    await allDone(workers);
  }

  /**
   * Handles one message, drops it as a duplicate, parks it or makes it a dead letter. Blocks and retries in place only while
   * the failures say nothing about the message itself.
   */
  private async settle(entry: Entry, inFlight: InFlightBatch, run: MarkedRun): Promise<void> {
    const { attempts } = this;
    let tries = 0;
    await this.persist(
      entry.record,
      inFlight,
      async () => {
        const lastTry = ++tries >= CONTENDED_TRIES;
        await (run.suspect ? attempts.alone(entry, lastTry) : attempts.one(entry, run.mark, lastTry));
      },
      { settles: true, takes: run.suspect ? 'all slots' : 'a slot' },
    );
  }

  /**
   * Repeats the step until it succeeds or the batch is abandoned. With `settles`, success settles the record. A step that waits
   * for a `Gather` takes no slot, because the `Gather` takes one for all its callers.
   */
  private async persist(
    record: KafkaRecord,
    inFlight: InFlightBatch,
    step: () => Promise<void>,
    { settles = false, takes = 'a slot' }: { settles?: boolean; takes?: 'no slot' | 'a slot' | 'all slots' } = {},
  ): Promise<void> {
    const { work } = this;
    const progress = this.track();
    // The batch may have been abandoned while the step waited for its slot.
    const inTurn = async () => {
      if (inFlight.abandoned) return;
      await step();
      if (settles) inFlight.settled(record);
    };
    try {
      for (let failures = 0; !inFlight.abandoned; failures++) {
        try {
          if (takes === 'all slots') await work.slots.useAll(inTurn);
          else if (takes === 'a slot') await work.slots.use(inTurn);
          else await inTurn();
          return;
        } catch (error) {
          const waitMs = Math.round(backOffMs(failures, 100, 5000));
          progress.failed(describeError(error));
          work.logger.warn(`${nameOf(record)}: ${describeError(error)}. Retrying in ${waitMs} ms`);
          await pause(waitMs, work.stopping);
        }
      }
    } finally {
      work.inFlight.delete(progress);
    }
  }

  private track(): WorkClock {
    const progress = new WorkClock();
    progress.begun();
    this.work.inFlight.add(progress);
    return progress;
  }
}

/** A batch in flight. Its offsets are resolved in order, each once every record up to it is settled. */
class InFlightBatch {
  private readonly settledOffsets = new Set<string>();
  private next = 0;

  constructor(
    private readonly batch: Batch,
    private readonly stopping: AbortSignal,
  ) {}

  /** Whether the remaining records must not be processed: the partition was lost or the inbox is stopping. */
  get abandoned(): boolean {
    return this.stopping.aborted || !this.batch.isCurrent();
  }

  settled({ offset }: KafkaRecord): void {
    const { records } = this.batch;
    this.settledOffsets.add(offset);
    let last: KafkaRecord | undefined;
    for (
      let record = records[this.next];
      record && this.settledOffsets.delete(record.offset);
      record = records[this.next]
    ) {
      last = record;
      this.next++;
    }
    if (last && this.batch.isCurrent()) this.batch.resolve(last);
  }
}

/** An unreadable message may have no id. The inbox never contains an empty id, so it matches nothing. */
function refOf(reading: Reading): { id: string; source: string } {
  if (reading.readable) return { id: reading.message.id, source: reading.message.source };
  return reading.sound ? { id: reading.id ?? '', source: reading.source ?? '' } : { id: '', source: '' };
}

function nameOfMessage({ id, source }: MessageRef): string {
  return `${source}\n${id}`;
}

function keyOf({ key }: KafkaRecord): string | undefined {
  return key?.toString('latin1');
}
