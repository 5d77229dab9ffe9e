import { type Incidents } from '../operations/incidents.js';
import { type InboxOffsets } from './inbox-offsets.js';
import { type InboxWork } from './inbox-work.js';
import { type FoundStart, offsetsOf } from '../kafka/partition-start.js';
import { type SettledOffsets } from '../kafka/consumer-options.js';

/** Stores the offsets up to which a consumer has settled its partitions, and reports a loss that they reveal. */
export class InboxPositions implements SettledOffsets {
  /** Already reported. The whole step is repeated if a later part of it fails. */
  private readonly reported = new Set<string>();

  constructor(
    private readonly consumer: { readonly groupId: string; readonly topic: string },
    private readonly work: Pick<InboxWork, 'dataSource' | 'logger' | 'counts'>,
    private readonly offsets: InboxOffsets,
    private readonly incidents: Pick<Incidents, 'report'>,
  ) {}

  async read(): Promise<ReadonlyMap<number, bigint>> {
    return this.offsets.read(this.work.dataSource);
  }

  async raise(offsets: ReadonlyMap<number, bigint>, known: ReadonlyMap<number, bigint>): Promise<boolean> {
    return this.offsets.raise(this.work.dataSource, offsets, known);
  }

  async place(starts: readonly FoundStart[]): Promise<void> {
    for (const start of starts) await this.report(start);
    const anew = starts.filter((start) => start.anew && start.facts.stored !== start.next);
    if (anew.length > 0) await this.offsets.set(this.work.dataSource, offsetsOf(anew));
    const higher = starts.filter(({ next, facts }) => facts.stored === undefined || facts.stored < next);
    if (higher.length > 0) await this.raise(offsetsOf(higher), new Map());
    this.reported.clear();
  }

  private async report(start: FoundStart): Promise<void> {
    const { partition, next, anew, again, missed, facts } = start;
    const { groupId, topic } = this.consumer;
    const subject = `${groupId} of ${topic}/${partition}`;
    if (anew && facts.stored !== next)
      this.work.logger.warn(
        `Reading ${topic}/${partition} from its beginning (offset ${next}). The last known offset ` +
          `(${facts.stored ?? facts.committed}) belongs to an earlier topic of the same name, or Kafka no longer has an ` +
          'offset for the group',
      );
    else if (facts.stored !== undefined && !facts.marked && next < (facts.committed ?? next))
      this.work.logger.warn(
        `Reading ${topic}/${partition} from offset ${next}, because the database has a lower offset than Kafka ` +
          `(${facts.committed}), which another version or tool committed`,
      );
    if (missed > 0n)
      await this.once(`missed ${partition} ${next}`, async () => {
        const problem =
          `Kafka deleted ${missed} messages before they were read, the last at offset ${next - 1n}. ` +
          "Extend the topic's retention, and make up for the missing effects";
        const detail = { consumer: groupId, topic, partition, messages: Number(missed), next: String(next) };
        await this.incidents.report({ kind: 'messages-missed', subject, problem, detail }, 'messages');
        this.work.counts.missed += Number(missed);
      });
    if (again > 0n)
      await this.once(`again ${partition} ${next}`, async () => {
        const problem =
          "the database was restored or lost transactions in a failover: its offset is lower than Kafka's. " +
          `${again} messages are read again from offset ${next}. Those missing from the inbox are handled again`;
        const detail = { consumer: groupId, topic, partition, messages: Number(again), next: String(next) };
        await this.incidents.report({ kind: 'offsets-went-back', subject, problem, detail });
      });
  }

  private async once(name: string, report: () => Promise<void>): Promise<void> {
    if (this.reported.has(name)) return;
    await report();
    this.reported.add(name);
  }
}
