import { setImmediate } from 'node:timers/promises';
import { type EntityManager } from 'typeorm';
import { allDone } from './all-done.js';
import { type PartitionMarks, type Run } from './crash-marks.js';
import { describeError } from './errors.js';
import { FetchPace } from './fetch-pace.js';
import { Gather } from './gather.js';
import { Progress } from './health.js';
import { IgnoredMessages } from './ignored-messages.js';
import { type Entry, InboxAttempts } from './inbox-attempts.js';
import { type Mark, type MarkedRefs, type MessageRef } from './inbox-store.js';
import { inTransaction } from './inbox-transaction.js';
import { type InboxWork, nameOf } from './inbox-work.js';
import { type Batch } from './kafka.js';
import { type KafkaRecord, type Message, type Reading } from './message.js';
import { backOffMs, pause } from './waiting.js';

/** How often a message that others are in the way of is tried before it is parked, and its partition goes on. */
const CONTENDED_TRIES = 5;
/** So long records are read before something else may run. */
const READING_MS = 50;
/** Messages of one partition in one transaction, with group commit. */
const GROUP_SIZE = 200;

/** Messages of one partition that share a transaction, in their order. */
interface Group {
  readonly entries: readonly Entry[];
  readonly inFlight: InFlightBatch;
}

type MarkedRun = Run & { readonly mark: Mark };

/** Takes the batches of Kafka: every record of a batch ends handled, known, ignored, parked or dead. */
export class InboxBatches {
  private partitions = new Map<number, Promise<PartitionMarks>>();
  private readonly attempts: InboxAttempts;
  private readonly ignored: IgnoredMessages;
  private readonly pace = new FetchPace();
  /** What several partitions bring at the same time is begun, and handled, together. */
  private readonly beginnings: Gather<MarkedRefs, Set<number>>;
  private readonly groups: Gather<Group, ReadonlySet<Entry>>;

  constructor(
    private readonly work: InboxWork,
    onParked: (dueInMs: number) => void,
  ) {
    this.attempts = new InboxAttempts(work, onParked);
    this.ignored = new IgnoredMessages(work);
    this.beginnings = new Gather({
      together: (runs) => work.slots.use(async () => work.store.begin(work.dataSource, runs)),
    });
    this.groups = new Gather({ together: (groups) => work.slots.use(async () => this.takeTogether(groups)) });
  }

  /** The partitions were shared out anew: what others have in hand has to be looked up again. */
  joined(): void {
    this.partitions = new Map();
  }

  /** The next fetch begins when the batches of this one have returned. */
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
      // Large messages take long to read, and a batch may be full of them: heartbeats have to go on.
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

  /** Leaves the mark, and drops what the inbox knows and what stands twice in the run. */
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
        // The first of two in one run is settled before it or not at all, for offsets are committed in their order.
        inFlight.settled(entry.record);
        return false;
      }
      seen.add(name);
      return true;
    });
  }

  /** Each key's messages in order, different keys at the same time. */
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

  /** Many messages in one transaction, and each on its own that could not be handled so. */
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

  /** Gives those of each group that are handled, all of them or none. Never throws. */
  private async takeTogether(groups: readonly Group[]): Promise<ReadonlySet<Entry>[]> {
    const { work } = this;
    // A batch may be over by the time that it is its turn.
    const entries = groups.flatMap((group) => (group.inFlight.abandoned ? [] : group.entries));
    const none = groups.map(() => new Set<Entry>());
    // A message that will be a dead letter holds its key: what comes after it must not be handled before that is seen.
    const broken = new Set(entries.filter(({ reading }) => !reading.readable).map(({ record }) => keyOf(record)));
    // One message on two partitions is left for the next attempt, which finds it in the inbox.
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
      const told = `Each of ${entries.length} messages on its own: ${describeError(error)}`;
      // A handler's error is told of when its message has failed alone.
      if (handling) work.logger.debug(told);
      else work.logger.warn(told);
      return none;
    } finally {
      work.inFlight.delete(progress);
    }
  }

  /**
   * Each key's messages in order. Different keys side by side, where the connection takes many statements at once: what all of
   * their handlers do can then be done in one statement.
   */
  private async handleAll(tx: EntityManager, messages: readonly Message[]): Promise<void> {
    const chains = Map.groupBy(messages, ({ key }) => key).values();
    const client = (await tx.queryRunner?.connect()) as { readonly pipeline?: boolean } | undefined;
    const workers = Array.from({ length: client?.pipeline ? messages.length : 1 }, async () => {
      for (const chain of chains) for (const message of chain) await this.work.handle(tx, message);
    });
    await allDone(workers);
  }

  /** Handled, known, parked or dead. Waits, and tries again in place, only while nothing can be said of the message. */
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
   * Does the step until it succeeds, or the batch is over; then the record is settled, if the step was about it. A step that waits for
   * a gathering takes no slot: what gathers takes one, for all of them.
   */
  private async persist(
    record: KafkaRecord,
    inFlight: InFlightBatch,
    step: () => Promise<void>,
    { settles = false, takes = 'a slot' }: { settles?: boolean; takes?: 'no slot' | 'a slot' | 'all slots' } = {},
  ): Promise<void> {
    const { work } = this;
    const progress = this.track();
    // The batch may be over by the time that it is our turn.
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
          work.logger.warn(`${nameOf(record)}: ${describeError(error)}. Trying again in ${waitMs} ms`);
          await pause(waitMs, work.stopping);
        }
      }
    } finally {
      work.inFlight.delete(progress);
    }
  }

  private track(): Progress {
    const progress = new Progress();
    progress.begun();
    this.work.inFlight.add(progress);
    return progress;
  }
}

/** A batch on its way: its offsets are resolved in their order, each when all before it are settled. */
class InFlightBatch {
  private readonly settledOffsets = new Set<string>();
  private next = 0;

  constructor(
    private readonly batch: Batch,
    private readonly stopping: AbortSignal,
  ) {}

  /** The rest is not ours any more, or not now. */
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

/** An unreadable message may have no id: nothing is known by an empty one. */
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
