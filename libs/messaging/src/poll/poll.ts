import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { describeError } from '../errors.js';
import { type MessagingOptions } from '../messaging-options.js';
import { WorkClock } from '../operations/health.js';
import { RELAY } from '../operations/known-pauses.js';
import { isAnswer } from '../postgres/connection.js';
import { settlesWithin, STOP_MS, WakeUpCall } from '../waiting.js';
import { CommitNotices } from './commit-notices.js';
import { DueWork } from './due-work.js';
import { type DueNow, type KnownLease, Lease, type LeaseAnswer, LEASE_TIMING } from './lease.js';
import { ListeningProof } from './listening-proof.js';
import { Outages } from './outages.js';
import { OverdueMessages, type RelayRole } from './overdue-messages.js';
import { PollStore } from './poll-store.js';
import { PollWarnings } from './poll-warnings.js';

/** How often to look for messages whose dead letter was deleted with plain SQL, so that they resume. */
const ORPHANS_EVERY_MS = 30_000;
/** A server that stays silent for this long after the next renewal was due is reported. */
const SILENT_AFTER_MS = 3000;

/** What a process does while it holds the lease. The relay implements it. */
export interface Leader {
  /**
   * Leads from now on, over the connection on which the lease was granted. Must return as soon as {@link Poll.mayLead} is false, and
   * the lease is not released before. Waits for {@link Poll.wakeUp} in between.
   * @throws if the connection is unusable; the poll then replaces it
   */
  lead(lease: Lease, store: PollStore): Promise<void>;
  /** Whether the latest answer of the poll gives the leader something to do, besides pending messages. */
  hasWork(leads: boolean): boolean;
  /** An operator may have released or discarded parked messages. */
  parkedChanged(): void;
  /** Called once, after the poll has stopped. */
  close(): Promise<void>;
}

/** What the poll contributes to the report of the relay's health. */
export interface PollReport {
  readonly role: RelayRole;
  /** For how long PostgreSQL has not answered; undefined while it answers. */
  readonly silentMs: number | undefined;
  /** Describes messages that nobody publishes. */
  readonly overdue: string | undefined;
  readonly warnings: readonly string[];
  readonly clockAheadMs: number;
}

/**
 * The one poll of a process, which serves all of messaging. It runs in every process, with one statement a second on a connection of
 * its own. The statement holds or takes the lease of the schema, and finds the work that is due. While this process holds the lease,
 * the leader publishes; the other processes are on standby, and notify the leader of their commits.
 *
 * It waits for PostgreSQL if it is unavailable. A lost connection is replaced, and the lease with it.
 *
 * The poll and its parts log under the name `Relay`, because the health report presents polling and publishing as one component.
 */
export class Poll {
  private readonly logger = new Logger('Relay');
  private readonly holder: string | undefined;
  private readonly stopper = new AbortController();
  /** Aborts when the process stops. */
  readonly stopping: AbortSignal = this.stopper.signal;
  /** Wakes the standby's loop here, or the leader's. */
  readonly wakeUp = new WakeUpCall();
  /** Measures how long polling and publishing have made no progress. */
  readonly clock = new WorkClock();
  /** What an operator has paused. Nothing runs in this process before the first poll has said so. */
  readonly pauses: DueWork['pauses'];
  readonly outages = new Outages(this.clock, this.stopping);
  private readonly notices = new CommitNotices(() => this.notifyOfCommit());
  private readonly listening = new ListeningProof();
  private readonly overdue: OverdueMessages;
  private readonly warnings: PollWarnings;
  private leader: Leader | undefined;
  private queues: readonly string[] = [];
  private store: PollStore | undefined;
  private lease: Lease | undefined;
  /** The lease row as this process knew it on the last connection. */
  private leaseRow: KnownLease | undefined;
  private answeredAt = 0;
  /** The number of polls answered on this connection. */
  private answers = 0;
  private lost: Error | undefined;
  private latestReleaseId: string | undefined;
  private orphansCheckedAt = performance.now();
  private running: Promise<void> | undefined;

  /** Without `relay` in the options, the process never leads. Tests replace `leaseTiming` to suppress polls. */
  constructor(
    private readonly options: MessagingOptions,
    private readonly dueWork = new DueWork(),
    private readonly leaseTiming = LEASE_TIMING,
  ) {
    this.holder = options.relay === false ? undefined : randomUUID();
    this.pauses = dueWork.pauses;
    this.pauses.areRead();
    this.pauses.onChange(() => this.wakeUp.call());
    this.overdue = new OverdueMessages(options.overdueAfterMs, this.logger);
    this.warnings = new PollWarnings(options.schema);
  }

  /** Starts to poll. `queues` are those whose jobs this process runs; the poll does not look for jobs of other queues. */
  start(queues: readonly string[], leader: Leader): void {
    if (this.running) return;
    this.queues = queues;
    this.leader = leader;
    this.running = this.run(leader);
  }

  /** Lets the leader finish, releases the lease and closes the connections. A standby publishes what is left. */
  async stop(): Promise<void> {
    this.stopper.abort();
    this.wakeUp.call();
    if (this.running && !(await settlesWithin(STOP_MS, this.running))) {
      this.logger.warn(`The relay has not stopped after ${STOP_MS} ms. Messages in flight will be sent again`);
    }
  }

  /** Called when rows were committed in this process. Wakes the leader here, or notifies the leader in another process. */
  wake(): void {
    if (this.leads) this.wakeUp.call();
    else this.notices.committed();
  }

  /** Whether this process is the leader. */
  get leads(): boolean {
    return this.lease?.fencingToken !== undefined;
  }

  /** Whether this process is the leader, and goes on leading with the present connection. */
  get mayLead(): boolean {
    return this.leads && !this.failure && !this.stopping.aborted;
  }

  /** What has been published according to the lease; undefined while another process leads. */
  get published(): Lease['published'] {
    return this.lease?.published;
  }

  report(): PollReport {
    const role = this.role();
    const silentMs = Math.round(performance.now() - this.answeredAt - this.leaseTiming.renewEveryMs);
    return {
      role,
      silentMs: this.running !== undefined && silentMs > SILENT_AFTER_MS ? silentMs : undefined,
      overdue: this.overdue.problem(role),
      warnings: this.warnings.texts,
      clockAheadMs: this.lease?.clockAheadMs ?? 0,
    };
  }

  private role(): RelayRole {
    if (this.store === undefined) return 'disconnected';
    if (this.holder === undefined) return 'elsewhere';
    return this.leads ? 'leader' : 'standby';
  }

  /** Why the present connection can no longer be used. */
  private get failure(): Error | undefined {
    return this.lost ?? this.lease?.failure;
  }

  private async run(leader: Leader): Promise<void> {
    this.answeredAt = performance.now();
    while (!this.stopping.aborted) {
      try {
        this.clock.begun();
        await this.runConnected(leader);
      } catch (error) {
        await this.outages.backOff('database', 'The relay lost its database connection', error);
      }
    }
    await leader.close();
  }

  private async runConnected(leader: Leader): Promise<void> {
    this.lost = undefined;
    this.answers = 0;
    const store = await PollStore.connect(
      { ...this.options, queues: this.queues, dueSince: this.dueWork.since },
      (notice) => this.onNotice(notice),
      (error) => this.loseConnection(error),
    );
    const lease = new Lease(store, this.holder, (answer) => this.onRenewed(answer), this.leaseTiming, this.leaseRow);
    const stopProbing = this.listening.start(store);
    try {
      this.store = store;
      this.lease = lease;
      await lease.renew();
      if (!lease.failure && lease.fencingToken === undefined) this.clock.done();
      while (!this.stopping.aborted) {
        if (this.failure) throw this.failure;
        if (this.leads) await leader.lead(lease, store);
        else await this.wakeUp.wait();
      }
    } finally {
      stopProbing();
      this.store = undefined;
      this.lease = undefined;
      this.leaseRow = lease.row;
      await lease
        .release()
        .catch((error: unknown) => this.logger.warn(`Cannot release the lease: ${describeError(error)}`));
      await store.close();
    }
  }

  private loseConnection(error: Error): void {
    this.lost ??= error;
    this.lease?.lose();
    this.wakeUp.call();
  }

  private onRenewed(answer: LeaseAnswer | undefined): void {
    if (answer) {
      this.answeredAt = performance.now();
      // The first answer does not reset the back-off, which must grow for a server that accepts connections and then drops them.
      if (++this.answers > 1) this.outages.over('database');
      this.reportDueWork(answer.due);
      this.overdue.found(answer.unpublished, this.pauses.stops('relay', RELAY));
      if (this.store && this.lease) this.warnings.update(this.store.log.canReadSequence, this.lease.clockAheadMs);
    }
    if (!answer || answer.pending || this.leader?.hasWork(answer.token !== undefined)) this.wakeUp.call();
  }

  /** Passes on what the poll found. */
  private reportDueWork({
    parked,
    anyParked,
    jobs,
    latestReleaseId,
    incidents,
    operations,
    attention,
    pauses,
  }: DueNow): void {
    this.pauses.found(pauses);
    this.dueWork.incidentsFound(incidents);
    if (attention) this.dueWork.attentionFound(attention);
    if (jobs) this.dueWork.found('jobs');
    if (operations) this.dueWork.found('operations');
    const orphans = anyParked && performance.now() - this.orphansCheckedAt > ORPHANS_EVERY_MS;
    if (orphans) this.orphansCheckedAt = performance.now();
    if (parked || orphans) this.dueWork.found('parked');
    // A notification reports this too, but may get lost.
    if (latestReleaseId !== this.latestReleaseId) this.onParkedChanged();
    this.latestReleaseId = latestReleaseId;
  }

  private onParkedChanged(): void {
    this.leader?.parkedChanged();
    this.dueWork.found('parked');
    if (this.leads) this.wakeUp.call();
  }

  private onNotice(notice: string): void {
    if (notice === 'lease-released' || notice === 'pauses-changed') void this.lease?.renew();
    else if (this.listening.isProof(notice)) this.listening.received(notice);
    else if (notice === 'parked-changed') this.onParkedChanged();
    else if (this.leads) this.wakeUp.call();
  }

  private async notifyOfCommit(): Promise<void> {
    const { store } = this;
    try {
      await store?.notify('committed');
    } catch (error) {
      // Without the notification, the leader finds the rows in its next poll. The connection is only unusable if there was no answer.
      if (isAnswer(error)) this.logger.debug(`PostgreSQL rejected a notification: ${describeError(error)}`);
      else if (store && this.store === store) this.loseConnection(error as Error);
    }
  }
}
