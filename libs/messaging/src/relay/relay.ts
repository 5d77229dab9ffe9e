import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { Cursor } from '../log/cursor.js';
import { DueWork } from '../poll/due-work.js';
import { describeError } from '../errors.js';
import { GapWatch } from '../log/gap-watch.js';
import { type ComponentHealth, WorkClock } from '../operations/health.js';
import { connectProducer } from '../kafka/kafka.js';
import { type DueNow, type KnownLease, Lease, type LeaseAnswer, LEASE_TIMING } from '../poll/lease.js';
import { OverdueMessages, type RelayRole } from '../poll/overdue-messages.js';
import { type OutboxRow } from '../message/message.js';
import { ListeningProof } from '../poll/listening-proof.js';
import { type WentBack } from '../log/log-origin.js';
import { type MessagingOptions } from '../messaging-options.js';
import { OldMessages } from './old-messages.js';
import { type GapWriter, isAnswer, type LogPart, OutboxStore, WriterEnded } from './outbox-store.js';
import { ParkedKeys, Publisher, TermOver, TopicFailure } from './publisher.js';
import { ReleasedKeys } from './released-keys.js';
import { Routes } from './routes.js';
import { backOffMs, pause, settlesWithin, STOP_MS, WakeUpCall } from '../waiting.js';

/** The most that one read loads into memory. Two batches are in memory at a time, since one is read while the other is sent. */
const READ_ROWS = 500;
const READ_BYTES = 4 * 1024 * 1024;
/** Progress is recorded with every renewal and after this many messages. A killed relay's successor resends no more than these. */
const RECORD_EVERY = 5000;
/** The minimum interval between two notifications of one process. The second one covers the rows committed in between. */
const NOTIFY_EVERY_MS = 2;
/** After a delivery that took longer, the relay expects a backlog. */
const BACKLOG_AFTER_MS = 1000;
/**
 * Pause after a read that emptied the outbox, so that rows committed in the meantime are sent together. Sending each of them
 * separately costs the writers and the relay more than it saves.
 */
const PACE_MS = 1;
const SETTLE_EVERY_MS = 1000;
/** How long released messages are sent between two reads of new messages. */
const SLICE_MS = 50;
/** How many messages one search for the messages of a blocked type scans. */
const MAX_SCANNED_ROWS = 20_000;
const SETTLE_BUSY_MS = 50;
/** Older gaps are reported, together with the transaction that keeps them open. */
const GAPS_REPORTED_AFTER_MS = 2000;
/** How often to look for messages whose dead letter was deleted with plain SQL, so that they resume. */
const ORPHANS_EVERY_MS = 30_000;
/** A larger clock difference is reported. */
const CLOCK_DIFFERENCE_MS = 5000;
/** A server that stays silent for this long after the next renewal was due is reported. */
const SILENT_AFTER_MS = 3000;

/**
 * Publishes the outbox's messages beyond its progress, in order. It runs in every replica. The one that holds the lease
 * publishes, and the others are on standby.
 *
 * After a crash, messages that were sent since progress was last recorded are published again. Messages may be duplicated, but are
 * never lost or reordered. The relay waits for Kafka and PostgreSQL if they are unavailable, and no outage counts against a
 * message.
 */
export class Relay {
  private readonly logger = new Logger('Relay');
  private readonly holder: string | undefined;
  private readonly stopping = new AbortController();
  private readonly wakeUp = new WakeUpCall();
  private readonly clock = new WorkClock();
  private readonly publisher: Publisher;
  private store: OutboxStore | undefined;
  private lease: Lease | undefined;
  /** The lease row as this process knew it on the last connection. */
  private leaseRow: KnownLease | undefined;
  private answeredAt = 0;
  /** The number of polls answered on this connection. */
  private answers = 0;
  private readonly failures = { database: 0, kafka: 0 };
  private lost: Error | undefined;
  private notice: NodeJS.Timeout | undefined;
  private noticeAgain = false;
  private nextNoticeAt = 0;
  private readonly listening = new ListeningProof();
  private parkedChanged = true;
  private latestReleaseId: string | undefined;
  private orphansCheckedAt = performance.now();
  private term: Term | undefined;
  private timesWentBack = 0;
  private oldGaps: (Omit<GapReport, 'forMs' | 'writer'> & GapTimes) | undefined;
  /** Problems that do not prevent publishing, by kind. Each is logged when it starts. */
  private readonly warnings = new Map<'sequence' | 'clock', string>();
  private readonly overdue: OverdueMessages;
  private running: Promise<void> | undefined;

  /** Tests replace `connect` and `leaseTiming` to lose one of Kafka's answers, or to suppress polls. */
  constructor(
    private readonly options: MessagingOptions,
    private readonly dueWork = new DueWork(),
    connect = connectProducer,
    private readonly leaseTiming = LEASE_TIMING,
  ) {
    this.holder = options.relay === false ? undefined : randomUUID();
    this.overdue = new OverdueMessages(options.overdueAfterMs, this.logger);
    this.publisher = new Publisher(options, connect, {
      onFailed: (what, error) => this.backOff('kafka', what, error),
      onSent: () => {
        this.failures.kafka = 0;
        this.clock.advanced();
      },
    });
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Finishes the batch in flight, releases the lease and closes the connections. A standby publishes what is left. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.wakeUp.call();
    if (this.running && !(await settlesWithin(STOP_MS, this.running))) {
      this.logger.warn(`The relay has not stopped after ${STOP_MS} ms. Messages in flight will be sent again`);
    }
  }

  /** Called when rows were committed in this process. Publishes them, or notifies the leader in another process. */
  wake(): void {
    if (this.lease?.token !== undefined) this.wakeUp.call();
    else if (this.notice) this.noticeAgain = true;
    else this.announce();
  }

  health(): ComponentHealth {
    const role = this.role();
    const silentMs = Math.round(performance.now() - this.answeredAt - this.leaseTiming.renewEveryMs);
    const silent = this.running !== undefined && silentMs > SILENT_AFTER_MS;
    const report = this.clock.report();
    const routes = this.term?.routes.report();
    const clocks = this.publisher.clockReport();
    const clockAheadMs = this.lease?.clockAheadMs ?? 0;
    const overdue = this.overdue.problem(role);
    // The most severe problem comes first: nothing is published, a type is blocked, the clocks differ.
    const problems = [report.problem, overdue, routes?.problem, clocks.problem, ...this.warnings.values()];
    const problem = problems.filter((text) => text !== undefined).join('; ');
    const { gaps } = this;
    const details = {
      ...clocks,
      ...routes,
      ...report,
      healthy: report.healthy && overdue === undefined && (routes?.healthy ?? true),
      role,
      ...(gaps && { gaps }),
      ...(clockAheadMs !== 0 && { clockAheadMs }),
      ...(problem && { problem }),
    };
    if (!silent) return details;
    return { ...details, healthy: false, problem: `PostgreSQL has not answered for ${silentMs} ms` };
  }

  /** In the leader, the gaps that transactions have kept open for seconds. */
  get gaps(): GapReport | undefined {
    if (!this.oldGaps || !this.leads || !this.lease?.progress?.gaps.length) return undefined;
    const { since, spans, positions, writer } = this.oldGaps;
    return { spans, positions, forMs: Math.round(performance.now() - since), ...(writer && { writer }) };
  }

  /** How often this process noticed that positions went back. */
  get wentBack(): number {
    return this.timesWentBack;
  }

  /** Whether this process is the leader, which publishes. */
  get leads(): boolean {
    return this.lease?.token !== undefined;
  }

  /** What this process has published, by topic. */
  get counts(): Publisher['counts'] {
    return this.publisher.counts;
  }

  private role(): RelayRole {
    if (this.store === undefined) return 'disconnected';
    if (this.holder === undefined) return 'elsewhere';
    return this.lease?.token === undefined ? 'standby' : 'leader';
  }

  private announce(): void {
    const waitMs = Math.max(0, this.nextNoticeAt - performance.now());
    this.notice = setTimeout(() => void this.notify(), waitMs).unref();
  }

  /** Sends one notification at a time, so that on a silent connection a lease renewal does not queue behind them. */
  private async notify(): Promise<void> {
    const { store } = this;
    this.noticeAgain = false;
    this.nextNoticeAt = performance.now() + NOTIFY_EVERY_MS;
    try {
      await store?.notify('committed');
    } catch (error) {
      // Without the notification, the leader finds the rows in its next poll. The connection is only unusable if there was no answer.
      if (isAnswer(error)) this.logger.debug(`PostgreSQL rejected a notification: ${describeError(error)}`);
      else if (store && this.store === store) this.loseConnection(error as Error);
    }
    this.notice = undefined;
    if (this.noticeAgain) this.announce();
  }

  private loseConnection(error: Error): void {
    this.lost ??= error;
    this.wakeUp.call();
  }

  private async run(): Promise<void> {
    this.answeredAt = performance.now();
    while (!this.stopping.signal.aborted) {
      try {
        this.clock.begun();
        await this.runWithStore();
      } catch (error) {
        await this.backOff('database', 'The relay lost its database connection', error);
      }
    }
    await this.publisher.close();
  }

  private async runWithStore(): Promise<void> {
    this.lost = undefined;
    this.answers = 0;
    const store = await OutboxStore.connect(
      { ...this.options, queues: this.dueWork.queues, dueSince: this.dueWork.since },
      (notice) => this.onNotice(notice),
      (error) => this.loseConnection(error),
    );
    const lease = new Lease(store, this.holder, (answer) => this.onRenewed(answer), this.leaseTiming, this.leaseRow);
    const stopProbing = this.listening.start(store);
    try {
      this.store = store;
      this.lease = lease;
      await lease.renew();
      if (!lease.failure && lease.token === undefined) this.clock.done();
      while (!this.stopping.signal.aborted) {
        const failure = this.lost ?? lease.failure;
        if (failure) throw failure;
        if (lease.token === undefined) this.term = undefined;
        else await this.publishAll(store, lease, this.termOf(lease));
        const again = performance.now() + PACE_MS;
        if (!this.lost && !lease.failure) await this.wakeUp.wait();
        const restMs = again - performance.now();
        if (restMs > 0) await pause(restMs, this.stopping.signal);
      }
    } finally {
      stopProbing();
      this.store = undefined;
      this.lease = undefined;
      this.leaseRow = lease.row;
      this.term = undefined;
      await lease
        .release()
        .catch((error: unknown) => this.logger.warn(`Cannot release the lease: ${describeError(error)}`));
      await store.close();
    }
  }

  private onRenewed(answer: LeaseAnswer | undefined): void {
    if (answer) {
      this.answeredAt = performance.now();
      // The first answer does not reset the back-off, which must grow for a server that accepts connections and then drops them.
      if (++this.answers > 1) this.failures.database = 0;
      this.reportDueWork(answer.due);
      this.overdue.found(answer.unpublished);
      this.updateWarnings();
    }
    const { lease, term } = this;
    const changed = term ? answer?.token === undefined || lease?.term !== term.number : answer?.token !== undefined;
    const gaps = term && lease?.progress ? lease.progress.gaps.length : 0;
    // The leader's work: messages to publish, gaps to watch and, from time to time, old rows to remove.
    const due = term?.old.areDue(lease?.progress);
    const waiting = term && lease?.progress ? lease.progress.waiting.size > 0 : false;
    const released = term?.released.next(term.routes) !== undefined;
    if (!answer || changed || answer.pending || gaps > 0 || due || waiting || released) this.wakeUp.call();
  }

  private updateWarnings(): void {
    const { store, lease } = this;
    if (!store || !lease) return;
    const { schema } = this.options;
    const ahead = lease.clockAheadMs;
    this.setWarning(
      'sequence',
      !store.canReadSequence &&
        `The role may not read the sequence of ${schema}.outbox, so a sequence that is set back would go unnoticed. ` +
          `Grant select on all sequences of the schema, as the migrations do`,
    );
    this.setWarning(
      'clock',
      Math.abs(ahead) > CLOCK_DIFFERENCE_MS &&
        `PostgreSQL's clock is ${Math.round(Math.abs(ahead) / 1000)} s ${ahead > 0 ? 'ahead of' : 'behind'} this host's. ` +
          `Message times, retries and retention depend on it`,
    );
  }

  private setWarning(kind: 'sequence' | 'clock', problem: string | false): void {
    if (problem && !this.warnings.has(kind)) this.logger.warn(problem);
    if (problem) this.warnings.set(kind, problem);
    else if (this.warnings.delete(kind))
      this.logger.log(kind === 'clock' ? 'The clocks agree again' : 'The sequence is readable now');
  }

  /** Passes on what the poll found. The process has only this one poll for all of messaging. */
  private reportDueWork({ parked, anyParked, jobs, latestReleaseId, incidents, attention }: DueNow): void {
    this.dueWork.incidentsFound(incidents);
    if (attention) this.dueWork.attentionFound(attention);
    if (jobs) this.dueWork.found('jobs');
    const orphans = anyParked && performance.now() - this.orphansCheckedAt > ORPHANS_EVERY_MS;
    if (orphans) this.orphansCheckedAt = performance.now();
    if (parked || orphans) this.dueWork.found('parked');
    // A notification reports this too, but may get lost.
    if (latestReleaseId !== this.latestReleaseId) this.onParkedChanged();
    this.latestReleaseId = latestReleaseId;
  }

  private onParkedChanged(): void {
    this.parkedChanged = true;
    this.dueWork.found('parked');
    if (this.lease?.token !== undefined) this.wakeUp.call();
  }

  private onNotice(notice: string): void {
    if (notice === 'lease-released') void this.lease?.renew();
    else if (this.listening.isProof(notice)) this.listening.received(notice);
    else if (notice === 'parked-changed') this.onParkedChanged();
    else if (this.lease?.token !== undefined) this.wakeUp.call();
  }

  private termOf({ term: number, log, progress }: Lease): Term {
    if (this.term?.number === number) return this.term;
    this.parkedChanged = true;
    this.term = {
      number,
      place: log?.place,
      watch: new GapWatch(),
      parked: new ParkedKeys(),
      released: new ReleasedKeys(),
      routes: new Routes(this.publisher.topics, this.logger, progress?.waiting),
      caughtUp: false,
      settleAt: 0,
      unrecorded: 0,
      old: new OldMessages(this.options.outboxRetentionMs),
    };
    return this.term;
  }

  /** Publishes until the outbox is empty, the lease is lost or the relay stops. */
  private async publishAll(store: OutboxStore, lease: Lease, term: Term): Promise<void> {
    const leads = () => lease.token !== undefined && lease.term === term.number;
    const mayPublish = () => leads() && !this.stopping.signal.aborted;
    try {
      if (lease.recovering) {
        await this.recover(store, lease, lease.recovering, term, leads, mayPublish);
        return;
      }
      for (let more = true; more && mayPublish();) {
        const cursor = lease.progress ?? Cursor.START;
        const settling = shouldSettle(term, cursor);
        if (settling) {
          term.settleAt = performance.now() + SETTLE_EVERY_MS;
          term.watch.observe(cursor, await store.openWriters());
          await this.reportGaps(store, term, cursor);
        }
        if (this.parkedChanged) await this.findReleased(store, term);
        await this.publishReleased(store, lease, term, mayPublish);
        const resuming = await this.resumeBlocked(store, lease, term, mayPublish);
        const drained = await this.drain(store, lease, term, leads, mayPublish);
        if (settling && drained.sawGaps && leads()) {
          const settled = term.watch.settled(lease.progress ?? cursor);
          // A poll after the read proves that this log was read. Otherwise a gap could be given up without having been read.
          if (settled !== lease.progress) await lease.renew();
          if (leads()) lease.progress = settled;
        }
        more = drained.more || resuming || term.released.next(term.routes) !== undefined;
      }
      this.failures.kafka = 0;
      this.clock.done();
      const due = term.old.areDue(lease.progress) && mayPublish();
      // Publish what was committed meanwhile before removing more.
      if (due && (await term.old.remove(store, lease, mayPublish))) this.wakeUp.call();
    } catch (error) {
      if (!(error instanceof TermOver)) throw error;
      this.clock.done();
      // The term's state may be incomplete, and the lease may return with the same token.
      this.term = undefined;
    }
  }

  /**
   * Recovers after positions went back. Reports the incident, publishes the unpublished messages that were written before, and
   * starts a new term at a valid position, which is the start if the recorded one is invalid. Until then nothing is recorded, so
   * the successor of a relay that dies here repeats the recovery. Messages may be duplicated, but are never lost or reordered.
   */
  private async recover(
    store: OutboxStore,
    lease: Lease,
    { reason, ofLog, fromStart, keepsOld }: WentBack,
    term: Term,
    leads: () => boolean,
    mayPublish: () => boolean,
  ): Promise<void> {
    this.timesWentBack++;
    const { schema } = this.options;
    const then = fromStart
      ? 'Everything still in the outbox is published again'
      : 'Publishing continues from the recorded position';
    const problem =
      `${reason}. ${then}, and consumers drop the duplicates. ` +
      `Find out who reset the outbox or restored the database, and whether committed messages were removed before they were published`;
    this.logger.error(`positions-went-back on ${schema}.outbox: ${problem}`);
    try {
      const detail = { position: lease.progress?.position, sequence: lease.log?.last };
      await store.report({ kind: 'positions-went-back', subject: `${schema}.outbox`, problem, detail });
    } catch (error) {
      if (!isAnswer(error)) throw error;
      this.logger.error(`Cannot record the incident: ${describeError(error)}`);
    }
    if (ofLog) await store.moveParkedBack();
    for (let more = keepsOld; more && mayPublish();) {
      // Keys with parked messages are held. Released messages are published in the next term.
      if (this.parkedChanged) await this.findReleased(store, term);
      ({ more } = await this.drain(store, lease, term, leads, mayPublish, 'old'));
    }
    if (!mayPublish()) throw new TermOver();
    // Remaining messages of blocked types come before everything that is written from now on.
    if (fromStart && term.routes.waiting.size > 0) await store.parkOld([...term.routes.waiting.keys()]);
    // Messages parked meanwhile have positions that will be reused.
    if (ofLog) await store.moveParkedBack();
    if (!mayPublish()) throw new TermOver();
    lease.startOver();
    this.wakeUp.call();
  }

  private async reportGaps(store: OutboxStore, term: Term, { gaps }: Cursor): Promise<void> {
    const now = performance.now();
    const since = term.watch.since ?? now;
    if (now - since < GAPS_REPORTED_AFTER_MS) this.oldGaps = undefined;
    else if (now - (this.oldGaps?.at ?? -Infinity) >= SETTLE_EVERY_MS) {
      const writers = term.watch.writersSince(now - GAPS_REPORTED_AFTER_MS);
      const writer = writers.length > 0 ? await store.oldestOf(writers) : undefined;
      const positions = gaps.reduce((sum, { from, to }) => sum + to - from, 0);
      this.oldGaps = { at: now, since, spans: gaps.length, positions, writer };
    }
  }

  /** Reads and sends batches, reading the next one while one is sent. Stops early when gaps must be observed again. */
  private async drain(
    store: OutboxStore,
    lease: Lease,
    term: Term,
    leads: () => boolean,
    mayPublish: () => boolean,
    part: LogPart = lease.log?.rowsBeyond ? 'drawn' : 'all',
  ): Promise<{ more: boolean; sawGaps: boolean }> {
    const read = (after: Cursor) =>
      store.read(after, READ_ROWS, READ_BYTES, term.caughtUp, { place: term.place, part, ...term.watch.look(after) });
    let from = lease.progress ?? Cursor.START;
    let reading: Promise<OutboxRow[]> | undefined = read(from);
    let sawGaps = false;
    for (;;) {
      const rows: OutboxRow[] | undefined = await reading.catch(unlessWriterEnded);
      if (!rows) {
        // A writer may have filled a gap that was not read. Observe the writers again, so that the next read covers it.
        term.settleAt = 0;
        return { more: true, sawGaps: false };
      }
      const full = isFull(rows);
      term.caughtUp = !full;
      // Late messages come first, so a message beyond the cursor shows that every gap was read.
      sawGaps ||= !full || Number(rows.at(-1)?.position) > from.position;
      if (rows.length === 0) return { more: false, sawGaps };
      // A message that was found but not sent is still a gap. If the gap were settled, nothing would read it again.
      if (!mayPublish()) return { more: false, sawGaps: false };

      this.clock.begun();
      const after = from.after(rows.map(({ position }) => Number(position)));
      const hasOtherWork = this.parkedChanged || term.released.next(term.routes) !== undefined || term.routes.someDue();
      const interrupted = hasOtherWork || shouldSettle(term, after);
      reading = full && !interrupted ? read(after) : undefined;
      // It is awaited above. A failure before that must not count as an unhandled rejection.
      reading?.catch(() => undefined);
      const sentAt = performance.now();
      await this.publisher.deliver(rows, term, store, mayPublish);
      // A backlog has grown while Kafka was unavailable.
      if (performance.now() - sentAt > BACKLOG_AFTER_MS) term.caughtUp = false;
      // Messages acknowledged while stopping count too, so that a successor need not send them again.
      if (!leads()) return { more: false, sawGaps: false };
      lease.progress = after.withWaiting(term.routes.waiting);
      recordSoon(lease, term, rows.length);
      if (!reading) return { more: full, sawGaps };
      from = lease.progress;
    }
  }

  /** Holds every key with parked messages, and finds the released ones, which have no dead letter before them. */
  private async findReleased(store: OutboxStore, term: Term): Promise<void> {
    this.parkedChanged = false;
    const goOn = this.options.afterDeadLetter === 'go-on';
    const { parked, released } = term;
    parked.clear();
    released.clear();
    for (const key of await store.parkedKeys()) {
      const before = goOn || Number.isNaN(key.dead) ? undefined : key.dead;
      const isReleased = before === undefined ? !Number.isNaN(key.waiting) : key.waiting < before;
      if (isReleased) released.add({ ...key, before });
      // A key is also held while its released messages are published, because its newer messages wait behind them.
      if (isReleased || !goOn) parked.add(key);
    }
  }

  /** Publishes released messages for a while, key by key and each in order. A key is free once its last one is published. */
  private async publishReleased(
    store: OutboxStore,
    lease: Lease,
    term: Term,
    mayPublish: () => boolean,
  ): Promise<void> {
    const { parked, released, routes } = term;
    const end = performance.now() + SLICE_MS;
    for (let key = released.next(routes); key && performance.now() < end; key = released.next(routes)) {
      const { aggregatetype, before } = key;
      const cursor = lease.progress ?? Cursor.START;
      const block = (error?: unknown) => {
        routes.block(aggregatetype, cursor.position + 1, error);
        updateWaiting(lease, term, cursor);
      };
      if (!routes.isDeclared(aggregatetype)) {
        block();
        continue;
      }
      const outcome = await this.publisher.release(key, before, store, mayPublish, block);
      if (outcome === 'done' && before === undefined) parked.delete(key);
      if (outcome === 'done' || outcome === 'refused') released.delete(key);
    }
  }

  /**
   * Retries the topics of blocked types whose back-off is over, and publishes some of their waiting messages. Returns true while
   * there are more. A type stays blocked until all of its skipped messages are published, so that none is overtaken (P3).
   */
  private async resumeBlocked(
    store: OutboxStore,
    lease: Lease,
    term: Term,
    mayPublish: () => boolean,
  ): Promise<boolean> {
    let more = false;
    for (const { aggregateType, from } of term.routes.due()) {
      if (!mayPublish()) return false;
      const startedAt = performance.now();
      try {
        const done = await this.resume(aggregateType, from, store, lease, term, mayPublish);
        more ||= !done;
      } catch (error) {
        if (!(error instanceof TopicFailure)) throw error;
        term.routes.failed(aggregateType, error.cause, performance.now() - startedAt);
      }
    }
    return more;
  }

  private async resume(
    aggregateType: string,
    from: number,
    store: OutboxStore,
    lease: Lease,
    term: Term,
    mayPublish: () => boolean,
  ): Promise<boolean> {
    const { parked, released, routes } = term;
    const cursor = lease.progress ?? Cursor.START;
    const bounds = { limit: READ_ROWS, bytes: READ_BYTES, maxScanned: MAX_SCANNED_ROWS, place: term.place };
    const { rows, upTo, inPlace } = await store.readWaiting(aggregateType, from, cursor, bounds);
    if (!inPlace) {
      // The poll finds out why.
      await lease.renew();
      throw new TermOver();
    }
    const advance = (to: number, messages: number) => {
      routes.advanced(aggregateType, to, messages);
      updateWaiting(lease, term, cursor);
    };
    await this.publisher.catchUp(rows, parked, store, mayPublish, (batch) => {
      advance(Number(batch.at(-1)?.position) + 1, batch.length);
      recordSoon(lease, term, batch.length);
    });
    advance(upTo + 1, 0);
    if (upTo < cursor.position) return false;
    const key = rows.length === 0 ? released.ofType(aggregateType) : undefined;
    // Only a released message can show whether the topic works.
    const probed = key && (await this.publisher.probe(key, key.before, store, mayPublish));
    // It is a dead letter again, and the messages released behind it wait.
    if (key && probed === 'refused') released.delete(key);
    routes.unblock(aggregateType);
    updateWaiting(lease, term, cursor);
    // The removal of old messages has skipped this type's messages and must start over to find them.
    term.old = new OldMessages(this.options.outboxRetentionMs);
    return true;
  }

  /** Counts failures of PostgreSQL and of Kafka separately, because an outage of one says nothing about the other. */
  private async backOff(from: 'database' | 'kafka', what: string, error: unknown): Promise<void> {
    if (this.stopping.signal.aborted) return;
    const attempt = ++this.failures[from];
    const waitMs = Math.round(backOffMs(attempt - 1, 100, 3000));
    this.clock.failed(describeError(error));
    this.logger.warn(`${what}: ${describeError(error)}. Retrying in ${waitMs} ms (attempt ${attempt})`);
    await pause(waitMs, this.stopping.signal);
  }
}

/** Positions that were drawn and may still be filled. Messages beyond them are published but cannot be removed. */
export interface GapReport {
  /** The number of separate gaps. */
  readonly spans: number;
  readonly positions: number;
  readonly forMs: number;
  /** The transaction to look at first. */
  readonly writer?: GapWriter;
}

interface GapTimes {
  readonly at: number;
  readonly since: number;
  readonly writer: GapWriter | undefined;
}

/** The leader's state during one term. */
interface Term {
  /** The number from {@link Lease.term}. */
  readonly number: number;
  /** The log that the term's cursor belongs to. */
  readonly place: string | undefined;
  readonly watch: GapWatch;
  readonly parked: ParkedKeys;
  readonly released: ReleasedKeys;
  readonly routes: Routes;
  /** Whether the last read reached the end of the outbox. */
  caughtUp: boolean;
  settleAt: number;
  /** Messages published since progress was last recorded ahead of time. */
  unrecorded: number;
  old: OldMessages;
}

/** Whether it is time to query which writers may still fill the gaps. This is sooner if reads cover many gaps until then. */
function shouldSettle({ settleAt, watch }: Term, cursor: Cursor): boolean {
  const now = performance.now();
  if (cursor.gaps.length === 0) return false;
  return now >= settleAt || (now >= settleAt - SETTLE_EVERY_MS + SETTLE_BUSY_MS && watch.isBusy(cursor));
}

function unlessWriterEnded(error: unknown): undefined {
  if (!(error instanceof WriterEnded)) throw error;
}

/** Records progress ahead of time if many messages were published, so that a killed relay's successor resends no more than these. */
function recordSoon(lease: Lease, term: Term, messages: number): void {
  term.unrecorded += messages;
  if (term.unrecorded < RECORD_EVERY) return;
  term.unrecorded = 0;
  void lease.renew();
}

/** Adds the waiting messages to the progress to record, unless another leader has taken over. */
function updateWaiting(lease: Lease, { number, routes }: Term, cursor: Cursor): void {
  if (lease.token === undefined || lease.term !== number) throw new TermOver();
  lease.progress = cursor.withWaiting(routes.waiting);
}

/** Whether there may be more rows than were read. */
function isFull(rows: readonly OutboxRow[]): boolean {
  return rows.length === READ_ROWS || Number(rows.at(-1)?.rest ?? 0) > 0;
}
