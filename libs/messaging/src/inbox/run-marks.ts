import { Gather } from '../postgres/gather.js';
import { type Entry } from './entry.js';
import { type InFlightBatch } from './in-flight-batch.js';
import { type Mark, type MarkedRefs } from './inbox-store.js';
import { type InboxWork } from './inbox-work.js';
import { type Run } from './partition-marks.js';

/** Covers the messages of a run with a crash mark while they are handled. */
export class RunMarks {
  /** Combines the marks of runs that several partitions deliver at the same time. */
  private readonly writes: Gather<MarkedRefs, Set<number>>;

  constructor(private readonly work: InboxWork) {
    this.writes = new Gather({
      writeAll: (runs) => work.slots.use(async () => work.store.markRuns(work.dataSource, runs)),
    });
  }

  /**
   * Calls `handle` with the indexes of the messages that the inbox already has, under a crash mark:
   *
   * - It is written before any record of the run is in flight. A run without messages needs none.
   * - It is replaced by the partition's next mark, in the statement that writes that one. Until then it stays, even if all messages
   *   are settled.
   * - It is removed at once if the batch is abandoned, so that the next owner does not have to be cautious.
   */
  async covering(
    run: Run,
    messages: readonly Entry[],
    inFlight: InFlightBatch,
    handle: (known: ReadonlySet<number>) => Promise<void>,
  ): Promise<void> {
    const { crashMarks, dataSource } = this.work;
    const { replaceable } = run.partition;
    const [first] = messages;
    if (first) {
      const mark = this.markOf(run);
      const refs = messages.map(({ ref }) => ref);
      const known = await inFlight.retry(first.record, async () => this.writes.write({ mark, refs }), 'no slot');
      if (known) {
        crashMarks.forgetOwn(mark.replaces);
        replaceable.splice(0, mark.replaces.length, mark.id);
        await handle(known);
      } else {
        // The batch was abandoned while the mark was being written, so the mark may exist or not.
        await crashMarks.remove(dataSource, [mark.id]);
      }
    }
    if (inFlight.abandoned) await crashMarks.remove(dataSource, replaceable.splice(0));
  }

  private markOf({ records, partition }: Run): Mark {
    const [first] = records;
    const times = records.map(({ timestamp }) => timestamp.getTime());
    return {
      id: this.work.crashMarks.newId(),
      topic: first.topic,
      partition: first.partition,
      firstOffset: first.offset,
      lastOffset: (records.at(-1) ?? first).offset,
      recordedFrom: new Date(times.reduce((one, other) => Math.min(one, other))),
      recordedTo: new Date(times.reduce((one, other) => Math.max(one, other))),
      replaces: [...partition.replaceable],
    };
  }
}
