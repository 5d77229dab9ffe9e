import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { Cursor } from './cursor.js';
import { DueWork } from './due-work.js';
import { describeError } from './errors.js';
import { GapWatch } from './gap-watch.js';
import { type ComponentHealth, Progress } from './health.js';
import { connectProducer } from './kafka.js';
import { type DueNow, type KnownLease, Lease, type LeaseAnswer, LEASE_TIMING } from './lease.js';
import { OverdueMessages, type RelayRole } from './overdue-messages.js';
import { type OutboxRow } from './message.js';
import { ListeningProof } from './listening-proof.js';
import { type WentBack } from './log-origin.js';
import { type MessagingOptions } from './messaging-options.js';
import { OldMessages } from './old-messages.js';
import { type GapWriter, isAnswer, type LogPart, OutboxStore, WriterEnded } from './outbox-store.js';
import { ParkedKeys, Publisher, TermOver, TopicFailure } from './publisher.js';
import { ReleasedKeys } from './released-keys.js';
import { Routes } from './routes.js';
import { backOffMs, pause, settlesWithin, STOP_MS, WakeUpCall } from './waiting.js';

/** What one reading takes into memory at most. Two are there at a time: one is read while the other is sent. */
const READ_ROWS = 500;
const READ_BYTES = 4 * 1024 * 1024;
/** Progress is recorded with every renewal, and after so many messages: a killed relay's successor sends no more than these again. */
const RECORD_EVERY = 5000;
/** Between two notices of one process: rows committed meanwhile are announced by the second. */
const NOTIFY_EVERY_MS = 2;
/** A delivery that took longer leaves a backlog behind. */
const BACKLOG_AFTER_MS = 1000;
/**
 * Rest after a reading that found all there was: rows committed meanwhile go together. Sending each for itself costs writers and
 * relay more than it saves.
 */
const PACE_MS = 1;
const SETTLE_EVERY_MS = 1000;
/** So long at a time released messages, and those of a topic that works again, are sent between two readings of new ones. */
const SLICE_MS = 50;
/** So many messages of other types one look for a waiting type takes in. */
const LOOK_ROWS = 20_000;
const SETTLE_BUSY_MS = 50;
/** Gaps that are older are reported, with the transaction that keeps them. */
const GAPS_REPORTED_AFTER_MS = 2000;
/** How soon the message after a dead letter goes on that somebody deleted by hand. */
const ORPHANS_EVERY_MS = 30_000;
/** Clocks that differ by more are reported. */
const CLOCK_DIFFERENCE_MS = 5000;
/** A server that is silent for so long beyond the next renewal is reported. */
const SILENT_AFTER_MS = 3000;

/**
 * Publishes what the outbox has beyond its progress, in order. Runs in every replica; the one that holds the lease
 * publishes, the others stand by.
 *
 * A crash before progress was recorded publishes again what was sent since: messages may be duplicated, never lost or
 * reordered. Neither Kafka nor PostgreSQL need be there: it waits for both, and no outage counts against a message.
 */
export class Relay {
  private readonly logger = new Logger('Relay');
  private readonly holder: string | undefined;
  private readonly stopping = new AbortController();
  private readonly wakeUp = new WakeUpCall();
  private readonly progress = new Progress();
  private readonly publisher: Publisher;
  private store: OutboxStore | undefined;
  private lease: Lease | undefined;
  /** As it was on the last connection. */
  private leaseRow: KnownLease | undefined;
  private answeredAt = 0;
  /** Polls answered on this connection. */
  private answers = 0;
  private readonly failures = { database: 0, kafka: 0 };
  private lost: Error | undefined;
  private notice: NodeJS.Timeout | undefined;
  private noticeAgain = false;
  private nextNoticeAt = 0;
  private readonly listening = new ListeningProof();
  private parkedChanged = true;
  private lastAction: string | undefined;
  private orphansSoughtAt = performance.now();
  private term: Term | undefined;
  private timesBack = 0;
  private oldGaps: (Omit<GapReport, 'forMs' | 'writer'> & GapTimes) | undefined;
  /** What is not as it should be and keeps nothing from being published; logged when it begins. */
  private readonly notes = new Map<'sequence' | 'clock', string>();
  private readonly overdue: OverdueMessages;
  private running: Promise<void> | undefined;

  /** `connect` and `leaseTiming` are other ones in tests that lose an answer of Kafka's, or must not see a poll. */
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
        this.progress.advanced();
      },
    });
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Finishes the batch in hand, hands the lease back and closes its connections. What is left, a standby publishes. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.wakeUp.call();
    if (this.running && !(await settlesWithin(STOP_MS, this.running))) {
      this.logger.warn(`Not done after ${STOP_MS} ms: what was being sent will be sent again`);
    }
  }

  /** Rows were committed in this process: publish them, or tell the relay that leads elsewhere. */
  wake(): void {
    if (this.lease?.token !== undefined) this.wakeUp.call();
    else if (this.notice) this.noticeAgain = true;
    else this.announce();
  }

  health(): ComponentHealth {
    const role = this.role();
    const silentMs = Math.round(performance.now() - this.answeredAt - this.leaseTiming.renewEveryMs);
    const silent = this.running !== undefined && silentMs > SILENT_AFTER_MS;
    const report = this.progress.report();
    const routes = this.term?.routes.report();
    const clocks = this.publisher.clockReport();
    const clockAheadMs = this.lease?.clockAheadMs ?? 0;
    const overdue = this.overdue.problem(role);
    // The most severe problem comes first: that nothing goes out, that a type waits, that the clocks differ.
    const problems = [report.problem, overdue, routes?.problem, clocks.problem, ...this.notes.values()];
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

  /** Gaps that transactions have kept open for seconds, in the leader. */
  get gaps(): GapReport | undefined {
    if (!this.oldGaps || !this.leads || !this.lease?.progress?.gaps.length) return undefined;
    const { since, spans, positions, writer } = this.oldGaps;
    return { spans, positions, forMs: Math.round(performance.now() - since), ...(writer && { writer }) };
  }

  /** How often positions went back under this process. */
  get wentBack(): number {
    return this.timesBack;
  }

  /** Whether this process publishes now. */
  get leads(): boolean {
    return this.lease?.token !== undefined;
  }

  /** What it has published, by topic. */
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

  /** One at a time: on a connection that is silent, a renewal of the lease must not wait behind notices. */
  private async notify(): Promise<void> {
    const { store } = this;
    this.noticeAgain = false;
    this.nextNoticeAt = performance.now() + NOTIFY_EVERY_MS;
    try {
      await store?.notify('committed');
    } catch (error) {
      // The notice costs the leader one safety poll. Only without an answer is the connection of no more use.
      if (isAnswer(error)) this.logger.debug(`A notice was refused: ${describeError(error)}`);
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
        this.progress.begun();
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
    const stopProving = this.listening.proveFromTimeToTime(store);
    try {
      this.store = store;
      this.lease = lease;
      await lease.renew();
      if (!lease.failure && lease.token === undefined) this.progress.done();
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
      stopProving();
      this.store = undefined;
      this.lease = undefined;
      this.leaseRow = lease.row;
      this.term = undefined;
      await lease
        .release()
        .catch((error: unknown) => this.logger.warn(`The lease was not handed back: ${describeError(error)}`));
      await store.close();
    }
  }

  private onRenewed(answer: LeaseAnswer | undefined): void {
    if (answer) {
      this.answeredAt = performance.now();
      // A server that takes connections and then ends them is asked less and less often.
      if (++this.answers > 1) this.failures.database = 0;
      this.tellWhatIsDue(answer.due);
      this.overdue.found(answer.unpublished);
      this.noteWhatIsOdd();
    }
    const { lease, term } = this;
    const changed = term ? answer?.token === undefined || lease?.term !== term.number : answer?.token !== undefined;
    const gaps = term && lease?.progress ? lease.progress.gaps.length : 0;
    // A leader's round: messages to publish, gaps to watch, and now and then old rows to remove.
    const due = term?.old.areDue(lease?.progress);
    const waiting = term && lease?.progress ? lease.progress.waiting.size > 0 : false;
    const released = term?.released.next(term.routes) !== undefined;
    if (!answer || changed || answer.pending || gaps > 0 || due || waiting || released) this.wakeUp.call();
  }

  private noteWhatIsOdd(): void {
    const { store, lease } = this;
    if (!store || !lease) return;
    const { schema } = this.options;
    const ahead = lease.clockAheadMs;
    this.note(
      'sequence',
      !store.seesSequence &&
        `The role may not read the sequence of ${schema}.outbox, so a sequence that is set back would go unnoticed. ` +
          `Grant select on all sequences of the schema, as the migrations do`,
    );
    this.note(
      'clock',
      Math.abs(ahead) > CLOCK_DIFFERENCE_MS &&
        `PostgreSQL's clock is ${Math.round(Math.abs(ahead) / 1000)} s ${ahead > 0 ? 'ahead of' : 'behind'} this host's. ` +
          `Message times, retries and retention depend on it`,
    );
  }

  private note(of: 'sequence' | 'clock', problem: string | false): void {
    if (problem && !this.notes.has(of)) this.logger.warn(problem);
    if (problem) this.notes.set(of, problem);
    else if (this.notes.delete(of))
      this.logger.log(of === 'clock' ? 'The clocks agree again' : 'The sequence can be read');
  }

  /** The one poll of the process serves all of messaging. */
  private tellWhatIsDue({ parked, anyParked, jobs, lastAction, incidents, attention }: DueNow): void {
    this.dueWork.incidentsFound(incidents);
    if (attention) this.dueWork.attentionFound(attention);
    if (jobs) this.dueWork.found('jobs');
    const orphans = anyParked && performance.now() - this.orphansSoughtAt > ORPHANS_EVERY_MS;
    if (orphans) this.orphansSoughtAt = performance.now();
    if (parked || orphans) this.dueWork.found('parked');
    // Told by a notice too, which may get lost.
    if (lastAction !== this.lastAction) this.onParkedChanged();
    this.lastAction = lastAction;
  }

  private onParkedChanged(): void {
    this.parkedChanged = true;
    this.dueWork.found('parked');
    if (this.lease?.token !== undefined) this.wakeUp.call();
  }

  private onNotice(notice: string): void {
    if (notice === 'lease-released') void this.lease?.renew();
    else if (this.listening.isProof(notice)) this.listening.heard(notice);
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
        const settling = isToSettle(term, cursor);
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
          // A poll after the reading proves that it was one of this log: else a gap would be given up that was not looked into.
          if (settled !== lease.progress) await lease.renew();
          if (leads()) lease.progress = settled;
        }
        more = drained.more || resuming || term.released.next(term.routes) !== undefined;
      }
      this.failures.kafka = 0;
      this.progress.done();
      const due = term.old.areDue(lease.progress) && mayPublish();
      // First what was committed meanwhile, then the next ones.
      if (due && (await term.old.remove(store, lease, mayPublish))) this.wakeUp.call();
    } catch (error) {
      if (!(error instanceof TermOver)) throw error;
      this.progress.done();
      // What it knows may be half read, and the lease come back with the same token.
      this.term = undefined;
    }
  }

  /**
   * Positions went back. Reports it, publishes what was written before and not published, and leaves it to the next term to go
   * on from a position that means something: from the start, if the recorded one does not. Until then nothing is recorded, so
   * a successor of a relay that dies here does all of it again: messages may be duplicated, none lost or reordered.
   */
  private async recover(
    store: OutboxStore,
    lease: Lease,
    { reason, ofLog, fromStart, keepsOld }: WentBack,
    term: Term,
    leads: () => boolean,
    mayPublish: () => boolean,
  ): Promise<void> {
    this.timesBack++;
    const { schema } = this.options;
    const then = fromStart
      ? 'Everything that the outbox keeps is published again'
      : 'Publishing goes on from the recorded position';
    const problem =
      `${reason}. ${then}; consumers ignore what they have handled. ` +
      `Find out who reset the outbox or restored the database, and whether committed messages were removed unpublished`;
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
      // Keys with parked messages are held; what was released goes out in the next term.
      if (this.parkedChanged) await this.findReleased(store, term);
      ({ more } = await this.drain(store, lease, term, leads, mayPublish, 'old'));
    }
    if (!mayPublish()) throw new TermOver();
    // What is left of blocked types comes before all that is written from now on.
    if (fromStart && term.routes.waiting.size > 0) await store.parkOld([...term.routes.waiting.keys()]);
    // What was parked meanwhile has positions that will be used again.
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

  /** Reads and sends, the next batch being read while one is sent. Interrupted when gaps are to be watched again. */
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
        // It may have filled a gap that was not looked into: the next reading looks, once the writers are known anew.
        term.settleAt = 0;
        return { more: true, sawGaps: false };
      }
      const full = isFull(rows);
      term.caughtUp = !full;
      // Late messages come first: one beyond the cursor says that every gap was looked at.
      sawGaps ||= !full || Number(rows.at(-1)?.position) > from.position;
      if (rows.length === 0) return { more: false, sawGaps };
      // What was found and not sent is still a gap: settled, nobody would look for it again.
      if (!mayPublish()) return { more: false, sawGaps: false };

      this.progress.begun();
      const after = from.after(rows.map(({ position }) => Number(position)));
      const turns = this.parkedChanged || term.released.next(term.routes) !== undefined || term.routes.someDue();
      const interrupted = turns || isToSettle(term, after);
      reading = full && !interrupted ? read(after) : undefined;
      // Awaited above; a failure before that must not count as unhandled.
      reading?.catch(() => undefined);
      const sentAt = performance.now();
      await this.publisher.deliver(rows, term, store, mayPublish);
      // While Kafka was away a backlog has grown.
      if (performance.now() - sentAt > BACKLOG_AFTER_MS) term.caughtUp = false;
      // What was acknowledged while stopping counts too: a successor need not send it again.
      if (!leads()) return { more: false, sawGaps: false };
      lease.progress = after.withWaiting(term.routes.waiting);
      recordSoon(lease, term, rows.length);
      if (!reading) return { more: full, sawGaps };
      from = lease.progress;
    }
  }

  /** Holds every key with parked messages, and finds those that a person released: they have no dead letter before them. */
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
      // Also while its released messages go out: newer ones of the key wait behind them.
      if (isReleased || !goOn) parked.add(key);
    }
  }

  /** Publishes released messages for a while, key by key and each in order. A key is free when the last of them is out. */
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
        noteWaiting(lease, term, cursor);
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
   * Tries the topics of blocked types whose back-off is over, and publishes for a while what waits. True while there is more.
   * A type is free when the relay has published all of its messages that it had passed, so none is overtaken (P3).
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
    const bounds = { limit: READ_ROWS, bytes: READ_BYTES, look: LOOK_ROWS, place: term.place };
    const { rows, upTo, inPlace } = await store.readWaiting(aggregateType, from, cursor, bounds);
    if (!inPlace) {
      // The poll tells why.
      await lease.renew();
      throw new TermOver();
    }
    const advance = (to: number, messages: number) => {
      routes.advanced(aggregateType, to, messages);
      noteWaiting(lease, term, cursor);
    };
    await this.publisher.catchUp(rows, parked, store, mayPublish, (batch) => {
      advance(Number(batch.at(-1)?.position) + 1, batch.length);
      recordSoon(lease, term, batch.length);
    });
    advance(upTo + 1, 0);
    if (upTo < cursor.position) return false;
    const key = rows.length === 0 ? released.ofType(aggregateType) : undefined;
    // Nothing but a released message can show whether the topic works.
    const probed = key && (await this.publisher.probe(key, key.before, store, mayPublish));
    // A dead letter again: what was released behind it waits.
    if (key && probed === 'refused') released.delete(key);
    routes.unblock(aggregateType);
    noteWaiting(lease, term, cursor);
    // Kept messages of the type lie behind those that were removed for their age.
    term.old = new OldMessages(this.options.outboxRetentionMs);
    return true;
  }

  /** Of PostgreSQL and of Kafka: one that lasts says nothing of the other. */
  private async backOff(of: 'database' | 'kafka', what: string, error: unknown): Promise<void> {
    if (this.stopping.signal.aborted) return;
    const attempt = ++this.failures[of];
    const waitMs = Math.round(backOffMs(attempt - 1, 100, 3000));
    this.progress.failed(describeError(error));
    this.logger.warn(`${what}: ${describeError(error)}. Trying again in ${waitMs} ms (attempt ${attempt})`);
    await pause(waitMs, this.stopping.signal);
  }
}

/** Positions that were drawn and may still be filled: the log behind them is published and cannot be removed. */
export interface GapReport {
  /** Apart from each other. */
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

/** What a leader knows for as long as it leads. */
interface Term {
  /** That of {@link Lease.term}. */
  readonly number: number;
  /** The log that its cursor belongs to. */
  readonly place: string | undefined;
  readonly watch: GapWatch;
  readonly parked: ParkedKeys;
  readonly released: ReleasedKeys;
  readonly routes: Routes;
  /** The last reading found all there was. */
  caughtUp: boolean;
  settleAt: number;
  /** Messages that were published since progress was last recorded ahead of time. */
  unrecorded: number;
  old: OldMessages;
}

/** Whether it is time to ask which writers may still fill the gaps: sooner when many gaps are looked into until then. */
function isToSettle({ settleAt, watch }: Term, cursor: Cursor): boolean {
  const now = performance.now();
  if (cursor.gaps.length === 0) return false;
  return now >= settleAt || (now >= settleAt - SETTLE_EVERY_MS + SETTLE_BUSY_MS && watch.isBusy(cursor));
}

function unlessWriterEnded(error: unknown): undefined {
  if (!(error instanceof WriterEnded)) throw error;
}

/** Records progress before its time when many messages were published: a killed relay's successor sends no more than these again. */
function recordSoon(lease: Lease, term: Term, messages: number): void {
  term.unrecorded += messages;
  if (term.unrecorded < RECORD_EVERY) return;
  term.unrecorded = 0;
  void lease.renew();
}

/** Brings what waits into the progress that is recorded, unless that is another leader's by now. */
function noteWaiting(lease: Lease, { number, routes }: Term, cursor: Cursor): void {
  if (lease.token === undefined || lease.term !== number) throw new TermOver();
  lease.progress = cursor.withWaiting(routes.waiting);
}

/** Whether there may be more than was read. */
function isFull(rows: readonly OutboxRow[]): boolean {
  return rows.length === READ_ROWS || Number(rows.at(-1)?.rest ?? 0) > 0;
}
