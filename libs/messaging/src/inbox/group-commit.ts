import { type EntityManager } from 'typeorm';
import { allDone } from '../postgres/all-done.js';
import { describeError } from '../errors.js';
import { type Entry, groupingKeyOf, nameOfMessage } from './entry.js';
import { Gather } from '../postgres/gather.js';
import { type InFlightBatch } from './in-flight-batch.js';
import { type InboxWork, tracked } from './inbox-work.js';
import { type KeyChains } from './key-chains.js';
import { inTransaction } from '../postgres/transaction.js';
import { type Message } from '../message/message.js';
import { traceBatch } from '../tracing/processing.js';
import { type Run } from './partition-marks.js';

/** The most messages of one partition that share a transaction. */
const GROUP_SIZE = 200;

/** Messages of one partition that share a transaction, in order. */
interface Group {
  readonly entries: readonly Entry[];
  readonly inFlight: InFlightBatch;
}

interface ReadableEntry {
  readonly entry: Entry;
  readonly message: Message;
}

/** Handles many messages in one transaction, across all partitions that deliver at the same time. */
export class GroupCommit {
  private readonly groups: Gather<Group, ReadonlySet<Entry>>;

  constructor(
    private readonly work: InboxWork,
    private readonly chains: KeyChains,
  ) {
    this.groups = new Gather({
      writeAll: (groups) => work.slots.use(async () => this.handleGroups(groups)),
    });
  }

  /** Handles the messages in groups, and those of a group that could not be handled that way individually. */
  async handleInGroups(entries: readonly Entry[], run: Run, inFlight: InFlightBatch): Promise<void> {
    for (let start = 0; start < entries.length && !inFlight.abandoned; start += GROUP_SIZE) {
      const group = entries.slice(start, start + GROUP_SIZE);
      const done = await this.groups.write({ entries: group, inFlight });
      for (const entry of done) inFlight.settled(entry.record);
      // Before the next group: a later message of a key must not overtake an earlier one.
      await this.chains.handleIndividually(
        group.filter((entry) => !done.has(entry)),
        run,
        inFlight,
      );
    }
  }

  /** Handles the groups of several partitions in one transaction, and returns the handled entries of each; none if it fails. Never throws. */
  private async handleGroups(groups: readonly Group[]): Promise<ReadonlySet<Entry>[]> {
    // A batch may have been abandoned while it waited for its turn.
    const entries = groups.flatMap((group) => (group.inFlight.abandoned ? [] : group.entries));
    const readable = readableOf(entries);
    const done = readable.length === 0 ? new Set<Entry>() : await this.handleTogether(readable, entries.length);
    return groups.map((group) => new Set(group.entries.filter((entry) => done.has(entry))));
  }

  /** Returns the handled entries; none if the transaction fails. Never throws. */
  private async handleTogether(readable: readonly ReadableEntry[], count: number): Promise<ReadonlySet<Entry>> {
    const { work } = this;
    const messages = readable.map(({ message }) => message);
    let handling = false;
    return tracked(work, async () => {
      try {
        const done = await traceBatch(work.groupId, messages, async () =>
          inTransaction(work.dataSource, async (tx) => {
            const fresh = await work.store.recordAll(tx, messages);
            handling = true;
            await this.handleAll(
              tx,
              messages.filter((_, n) => fresh.has(n)),
            );
            return new Set(readable.filter((_, n) => fresh.has(n)).map(({ entry }) => entry));
          }),
        );
        work.counts.processed += done.size;
        return done;
      } catch (error) {
        const text = `Handling ${count} messages individually, because group commit failed: ${describeError(error)}`;
        // A handler's error is reported when its message also fails individually.
        if (handling) work.logger.debug(text);
        else work.logger.warn(text);
        return new Set<Entry>();
      }
    });
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
}

/** Returns the messages that can be handled together. The others are handled individually. */
function readableOf(entries: readonly Entry[]): ReadableEntry[] {
  // An unreadable message becomes a dead letter that may hold its key, so later messages of the key must wait for that.
  const broken = new Set(entries.filter(({ reading }) => !reading.readable).map(({ record }) => groupingKeyOf(record)));
  // A second copy of a message, from another partition, is left for the next attempt, which finds it in the inbox.
  const readable = new Map<string, ReadableEntry>();
  for (const entry of entries) {
    if (!entry.reading.readable || broken.has(groupingKeyOf(entry.record))) continue;
    const { message } = entry.reading;
    const name = nameOfMessage(message);
    if (!readable.has(name)) readable.set(name, { entry, message });
  }
  return [...readable.values()];
}
