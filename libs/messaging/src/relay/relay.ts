import { Logger } from '@nestjs/common';
import { connectProducer } from '../kafka/producer.js';
import { kafkaOptionsOf, type MessagingOptions } from '../messaging-options.js';
import { type ComponentHealth } from '../operations/health.js';
import { RELAY } from '../operations/known-pauses.js';
import { type Lease } from '../poll/lease.js';
import { type Leader, type Poll } from '../poll/poll.js';
import { type PollStore } from '../poll/poll-store.js';
import { resumeBlocked } from './blocked-messages.js';
import { CopiesWatch } from './copies-watch.js';
import { type LeaderTools, LeaderTerm } from './leader-term.js';
import { type GapReport, OldGaps } from './old-gaps.js';
import { OutboxParkedStore } from './outbox-parked-store.js';
import { Publisher } from './publisher.js';
import { recover } from './recovery.js';
import { RelayStore } from './relay-store.js';
import { findReleased, publishReleased } from './released-messages.js';
import { TermOver } from './sender.js';

/**
 * Publishes the outbox's messages beyond its progress, in order, while the process leads. The poll runs in every replica, and the
 * relay of the one that holds the lease publishes; the others are on standby.
 *
 * After a crash, messages that were sent since progress was last recorded are published again. Messages may be duplicated, but are
 * never lost or reordered. The relay waits for Kafka and PostgreSQL if they are unavailable, and no outage counts against a
 * message.
 *
 * `Outbox.add` wakes the poll after the commit (`AfterCommit`), and the poll calls {@link lead} when this process gets the lease. From
 * there to Kafka, in the order of reading: `publishAll` and
 * `publishSome` repeat one pass; `LeaderTerm.drain` reads rows with `RelayStore.read`; `Publisher.deliver` splits them into batches, and
 * its `sendWithRetries` handles rejections and outages; `Sender.attempt` makes one send; `Producer.publish` calls kafkajs.
 */
export class Relay implements Leader {
  private readonly logger = new Logger('Relay');
  private readonly publisher: Publisher;
  private readonly oldGaps = new OldGaps();
  private readonly copies: CopiesWatch;
  /** The present term; undefined between terms and while another process leads. */
  private term: LeaderTerm | undefined;
  private timesWentBack = 0;

  /** Tests replace `connect` to lose one of Kafka's answers. */
  constructor(
    private readonly options: MessagingOptions,
    protected readonly poll: Poll,
    connect = connectProducer,
  ) {
    this.publisher = new Publisher(options, connect, {
      onFailed: async (what, error) => {
        await poll.outages.backOff('kafka', what, error);
        // A pause does not wait for Kafka. Messages with an unknown outcome are sent again after it.
        if (this.isPaused) throw new TermOver();
      },
      onSent: () => {
        poll.outages.over('kafka');
        poll.clock.advanced();
      },
    });
    this.copies = new CopiesWatch(
      kafkaOptionsOf(options),
      options.publishes.map(({ name }) => name),
      this.logger,
    );
  }

  /** Publishes until the lease is lost, the connection fails or the process stops. Finishes the batch in flight. */
  async lead(lease: Lease, { connection, log }: PollStore): Promise<void> {
    const { poll, options, publisher, oldGaps, logger } = this;
    const store = new RelayStore(connection, log, options.schema);
    const parkedStore = new OutboxParkedStore(connection, log, options.schema);
    const { clock, stopping } = poll;
    this.copies.start(stopping);
    const isPaused = () => this.isPaused;
    const tools = { options, lease, store, parkedStore, publisher, oldGaps, clock, stopping, isPaused, logger };
    try {
      while (poll.mayLead) {
        if (this.isPaused) await this.rest(this.termWith(tools));
        else await this.publishAll(this.termWith(tools));
        if (poll.mayLead) await poll.wakeUp.wait();
      }
    } finally {
      this.term = undefined;
    }
  }

  hasWork(leads: boolean): boolean {
    const { term } = this;
    if (!term) return leads;
    return !leads || term.lease.termNumber !== term.number || term.hasWork;
  }

  parkedChanged(): void {
    if (this.term) this.term.parkedChanged = true;
  }

  async close(): Promise<void> {
    await Promise.all([this.publisher.close(), this.copies.close()]);
  }

  health(): ComponentHealth {
    const { role, silentMs, overdue, warnings, clockAheadMs } = this.poll.report();
    const report = this.poll.clock.report();
    const routes = this.term?.routes.report();
    const clocks = this.publisher.clockReport();
    // The most severe problem comes first: nothing is published, a type is blocked, the clocks differ.
    const { refusal } = this.copies;
    const problems = [
      report.problem,
      refusal,
      overdue,
      routes?.problem,
      clocks.problem,
      ...warnings,
      this.copies.problem,
    ];
    const problem = [...new Set(problems)].filter((text) => text !== undefined).join('; ');
    const { gaps } = this;
    const paused = this.poll.pauses.healthOf('relay', RELAY);
    const publishes = report.healthy && refusal === undefined && overdue === undefined && (routes?.healthy ?? true);
    const details = {
      ...clocks,
      ...routes,
      ...report,
      // While the relay is paused, only an unreachable database is a failure.
      healthy: publishes || paused !== undefined,
      ...paused,
      role,
      ...(gaps && { gaps }),
      ...(clockAheadMs !== 0 && { clockAheadMs }),
      ...(problem && { problem }),
    };
    if (silentMs === undefined) return details;
    return { ...details, healthy: false, problem: `PostgreSQL has not answered for ${silentMs} ms` };
  }

  /** In the leader, the gaps that transactions have kept open for seconds. */
  get gaps(): GapReport | undefined {
    return this.leads && this.poll.published?.gaps.length ? this.oldGaps.report : undefined;
  }

  /** How often this process noticed that positions went back. */
  get wentBack(): number {
    return this.timesWentBack;
  }

  /** Whether this process is the leader, which publishes. */
  get leads(): boolean {
    return this.poll.leads;
  }

  /** What this process has published, by topic. */
  get counts(): Publisher['counts'] {
    return this.publisher.counts;
  }

  private termWith(tools: LeaderTools): LeaderTerm {
    if (this.term?.number !== tools.lease.termNumber) this.term = new LeaderTerm(tools);
    return this.term;
  }

  private get isPaused(): boolean {
    return this.poll.pauses.stops('relay', RELAY);
  }

  /** Removes old messages while the relay is paused, and publishes nothing. */
  private async rest(term: LeaderTerm): Promise<void> {
    this.poll.clock.done();
    if (!term.lease.recovering && (await term.removeOldMessages())) this.poll.wakeUp.call();
  }

  /** Publishes until the outbox is empty, the lease is lost, or the relay stops or is paused. */
  private async publishAll(term: LeaderTerm): Promise<void> {
    const { poll, options, logger } = this;
    try {
      if (term.lease.recovering) {
        this.timesWentBack++;
        await recover(term, term.lease.recovering, options, logger);
        poll.wakeUp.call();
        return;
      }
      for (let more = true; more && term.mayGoOn();) more = await this.publishSome(term);
      poll.outages.over('kafka');
      poll.clock.done();
      // Publish what was committed meanwhile before removing more.
      if (await term.removeOldMessages()) poll.wakeUp.call();
    } catch (error) {
      if (!(error instanceof TermOver)) throw error;
      poll.clock.done();
      // The term's state may be incomplete, and the lease may resume under the same term number.
      this.term = undefined;
    }
  }

  /**
   * Publishes parked messages that an operator released, then messages that were skipped because their type was blocked, and then new
   * ones. Returns whether there may be more.
   */
  private async publishSome(term: LeaderTerm): Promise<boolean> {
    const observed = await term.observeGaps();
    if (term.parkedChanged) await findReleased(term, this.options.afterDeadLetter === 'go-on');
    await publishReleased(term, this.publisher);
    const resuming = await resumeBlocked(term, this.publisher);
    const { more, sawGaps } = await term.drain();
    if (observed && sawGaps) await term.settleGaps();
    return more || resuming || term.hasReleased;
  }
}
