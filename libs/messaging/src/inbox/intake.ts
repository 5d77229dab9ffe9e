import { setImmediate } from 'node:timers/promises';
import { type Entry, entryOf, nameOfMessage } from './entry.js';
import { FetchPace } from './fetch-pace.js';
import { GroupCommit } from './group-commit.js';
import { IgnoredMessages } from './ignored-messages.js';
import { InFlightBatch } from './in-flight-batch.js';
import { InboxAttempts } from './inbox-attempts.js';
import { InboxParking } from './inbox-parking.js';
import { type InboxWork } from './inbox-work.js';
import { type Batch } from '../kafka/batch.js';
import { KeyChains } from './key-chains.js';
import { type KafkaRecord } from '../message/message.js';
import { type PartitionMarks, type Run } from './partition-marks.js';
import { RunMarks } from './run-marks.js';
import { pause } from '../waiting.js';

/** How long parsing may block the event loop before it yields. */
const READING_MS = 50;

/**
 * Processes Kafka batches: every record ends up handled, dropped as a duplicate, ignored, parked or a dead letter.
 *
 * `InboxConsumer` calls {@link process} for every batch. From there to the handler, in the order of reading: `processRecords` splits the
 * batch into runs and reads them; `RunMarks.covering` writes a crash mark and finds duplicates; `GroupCommit.handleInGroups` handles
 * many messages in one transaction, and leaves those that fail to `KeyChains.handleIndividually`; `InboxAttempts` makes one attempt
 * at a message, for which `Inbox.handle` calls the Nest handler; `InboxParking` parks it if it fails.
 */
export class Intake {
  private partitions = new Map<number, Promise<PartitionMarks>>();
  private readonly pace = new FetchPace();
  private readonly ignored: IgnoredMessages;
  private readonly runMarks: RunMarks;
  private readonly chains: KeyChains;
  private readonly groups: GroupCommit;

  constructor(
    private readonly work: InboxWork,
    onParked: (dueInMs: number) => void,
  ) {
    this.ignored = new IgnoredMessages(work);
    this.runMarks = new RunMarks(work);
    this.chains = new KeyChains(work, new InboxAttempts(work, new InboxParking(work, onParked)));
    this.groups = new GroupCommit(work, this.chains);
  }

  /** Called after a rebalance: the marks that other processes left have to be looked up again. */
  joined(): void {
    this.partitions = new Map();
  }

  /**
   * Processes a batch. The next fetch begins only when the batches of the current one have returned, so with group commit a rest at
   * the end spaces the fetches.
   */
  async process(batch: Batch): Promise<void> {
    const fetch = this.pace.fetched(batch, performance.now());
    await this.processRecords(batch);
    const restMs = this.work.settings.groupCommit ? this.pace.restMs(fetch, performance.now()) : 0;
    if (restMs > 0) await pause(restMs, this.work.stopping);
  }

  private async processRecords(batch: Batch): Promise<void> {
    const { records } = batch;
    const [first] = records;
    if (!first) return;
    const inFlight = new InFlightBatch(batch, this.work);
    const partition = await inFlight.retry(first, async () => this.partitionMarksOf(first));
    if (!partition) return;
    for (const run of partition.runs(records)) {
      const received = await this.read(run, inFlight);
      await this.runMarks.covering(run, received, inFlight, async (known) => {
        const fresh = this.dropDuplicates(received, known, inFlight);
        if (this.work.settings.groupCommit && !run.suspect) await this.groups.handleInGroups(fresh, run, inFlight);
        else await this.chains.handleIndividually(fresh, run, inFlight);
      });
      if (inFlight.abandoned) return;
    }
    // These marks covered records that are all settled now.
    const cleared = partition.clearUpTo(records.at(-1) ?? first);
    await this.work.crashMarks.remove(this.work.dataSource, cleared);
  }

  /** Returns the marks left on the record's partition, which are read once after each rebalance. */
  private async partitionMarksOf({ topic, partition }: KafkaRecord): Promise<PartitionMarks> {
    let partitionMarks = this.partitions.get(partition);
    if (!partitionMarks) {
      partitionMarks = this.work.crashMarks.ofPartition(this.work.dataSource, topic, partition);
      this.partitions.set(partition, partitionMarks);
      partitionMarks.catch(() => this.partitions.delete(partition));
    }
    return partitionMarks;
  }

  /** Parses the records, and settles those that the consumer ignores. Returns none if the batch is abandoned. */
  private async read({ records }: Run, inFlight: InFlightBatch): Promise<Entry[]> {
    const received: Entry[] = [];
    if (inFlight.abandoned) return received;
    let since = performance.now();
    for (const record of records) {
      // Parsing a batch of large messages takes long, and heartbeats must not stall meanwhile.
      if (performance.now() - since > READING_MS) {
        await setImmediate();
        if (inFlight.abandoned) return [];
        since = performance.now();
      }
      const reading = this.work.read(record);
      if (this.ignored.countIfIgnored(reading)) inFlight.settled(record);
      else received.push(entryOf(record, reading));
    }
    return received;
  }

  /** Drops messages that the inbox has already recorded or that occur earlier in the run. */
  private dropDuplicates(received: readonly Entry[], known: ReadonlySet<number>, inFlight: InFlightBatch): Entry[] {
    const seen = new Set<string>();
    return received.filter(({ record, ref }, n) => {
      const name = nameOfMessage(ref);
      if (ref.id !== '' && (known.has(n) || seen.has(name))) {
        this.work.counts.duplicates++;
        // Settling the second copy in a run early is safe: offsets are resolved in order, so the first still has to be settled.
        inFlight.settled(record);
        return false;
      }
      seen.add(name);
      return true;
    });
  }
}
