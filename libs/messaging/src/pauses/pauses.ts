import { Inject, Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { InvalidInputError } from '../errors.js';
import { JobHandlers } from '../jobs/job-handlers.js';
import { isStorable } from '../message/column-text.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { AfterCommit } from '../postgres/after-commit.js';
import { DataSources } from '../postgres/data-sources.js';
import { channelOf } from '../postgres/notices.js';
import { Audit } from '../operations/audit.js';
import { type Pause, PAUSE_KINDS, type PauseKind, RELAY } from '../operations/known-pauses.js';
import { beginOperatorAction, checkAction, type LetterAction } from '../operations/operator.js';
import { PauseStore } from '../operations/pause-store.js';

/**
 * Pauses and resumes the service's consumers, job queues and relay, in all processes. A pause is a row, so it outlasts restarts. Every
 * process learns of it from its next poll, a second later at most, and normally at once from a notification. What runs then finishes.
 *
 * @hideconstructor
 */
@Injectable()
export class Pauses {
  private readonly store: PauseStore;
  private readonly audit: Audit;
  private readonly notify = () => void this.notifyAll();

  constructor(
    @Inject(MESSAGING_OPTIONS) private readonly options: MessagingOptions,
    private readonly dataSources: DataSources,
    private readonly jobHandlers: JobHandlers,
    private readonly afterCommit: AfterCommit,
  ) {
    this.store = new PauseStore(options.schema);
    this.audit = new Audit(options.schema);
  }

  /** Returns what is paused, by kind and name. */
  async list(): Promise<Pause[]> {
    return this.store.list(this.dataSources.default);
  }

  /** Returns the names that can be paused: the consumers and job queues of this process, and `relay`. */
  names(kind: PauseKind): readonly string[] {
    if (kind === 'consumer') return this.options.consumes.map(({ groupId }) => groupId).toSorted();
    if (kind === 'queue')
      return this.jobHandlers
        .find()
        .map(({ name }) => name)
        .toSorted();
    return [RELAY];
  }

  /**
   * Pauses a consumer, a queue or the relay once the caller's transaction commits, and returns the pause. If it is paused already,
   * that pause is returned and nothing changes, so the first actor and reason stay. A lock is waited for at most five seconds, or until
   * the statement timeout if that is shorter. `tx` must not have locked the audit before.
   * @throws InvalidInputError for an unknown kind or name, naming the known ones, or an invalid actor or reason; Error without an open
   * transaction
   */
  async pause(tx: EntityManager, kind: PauseKind, name: string, action: LetterAction): Promise<Pause> {
    checkAction(action);
    checkKind(kind);
    this.checkName(kind, name, this.names(kind));
    const { actor, reason = null } = action;
    const queryRunner = await beginOperatorAction(tx);
    await this.audit.lock(tx);
    const added = await this.store.add(tx, { kind, name, actor, reason });
    if (added) {
      await this.changed(tx, 'pause', added, action);
      this.afterCommit.run(queryRunner, this.notify);
      return added;
    }
    const existing = await this.store.find(tx, kind, name);
    if (!existing) throw new Error(`The pause of ${kind} ${name} was removed concurrently. Try again`);
    return existing;
  }

  /**
   * Resumes a consumer, a queue or the relay once the caller's transaction commits. Returns the pause that ended, or undefined if it
   * was not paused. Something that this version no longer has can be resumed too. Locks are waited for as in {@link pause}.
   * @throws InvalidInputError for an unknown kind or name, naming the known ones, or an invalid actor or reason; Error without an open
   * transaction
   */
  async resume(tx: EntityManager, kind: PauseKind, name: string, action: LetterAction): Promise<Pause | undefined> {
    checkAction(action);
    checkKind(kind);
    if (typeof name !== 'string' || !isStorable(name))
      throw new InvalidInputError('The name must be text that can be stored');
    const queryRunner = await beginOperatorAction(tx);
    await this.audit.lock(tx);
    const removed = await this.store.remove(tx, kind, name);
    if (!removed) {
      this.checkName(kind, name, this.names(kind));
      return undefined;
    }
    await this.changed(tx, 'resume', removed, action);
    this.afterCommit.run(queryRunner, this.notify);
    return removed;
  }

  private checkName(kind: PauseKind, name: string, known: readonly string[]): void {
    if (known.includes(name)) return;
    const names = known.length === 0 ? 'There are none' : `Known: ${known.join(', ')}`;
    throw new InvalidInputError(`This service has no ${kind} of that name. ${names}`);
  }

  private async changed(tx: EntityManager, verb: 'pause' | 'resume', of: Pause, by: LetterAction): Promise<void> {
    const { kind, name, since, actor } = of;
    const subject = verb === 'pause' ? { kind, name } : { kind, name, pausedSince: since, pausedBy: actor };
    await this.audit.write(tx, { actor: by.actor, action: verb, box: 'pauses', reason: by.reason }, [subject]);
  }

  /** A lost notification costs a second, because every process's poll reads the pauses. */
  private async notifyAll(): Promise<void> {
    await this.dataSources.default
      .query(`select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`, [
        channelOf(this.options.schema),
        'pauses-changed',
      ])
      .catch(() => undefined);
  }
}

function checkKind(kind: PauseKind): void {
  if (!PAUSE_KINDS.includes(kind)) throw new InvalidInputError(`kind must be one of ${PAUSE_KINDS.join(', ')}`);
}
