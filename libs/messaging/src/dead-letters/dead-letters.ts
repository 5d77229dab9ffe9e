import { Inject, Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { type Causes } from './cause.js';
import { type DeadLetter, type LetterBox, type LetterFilter, type WholeLetter } from './dead-letter.js';
import { AfterCommit } from '../postgres/after-commit.js';
import { DueWork } from '../poll/due-work.js';
import { checkChosen, checkFilter, cursorOf, type LetterChoice, placeOf } from './letter-choice.js';
import { type LetterChange, LetterChanges } from './letter-changes.js';
import { CHUNK, type LetterCursor, type Selection } from './letter-store.js';
import { ReleaseNotice } from './release-notice.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { DataSources } from '../postgres/data-sources.js';
import {
  checkAction,
  checkReason,
  type LetterAction,
  type LetterPage,
  type Page,
  toPage,
  limitOf,
  beginOperatorAction,
  operatorTransaction,
} from '../operations/operator.js';
import { currentTime, earliest } from '../postgres/time-text.js';

/**
 * The dead letters of the service's outbox and inbox, and the operations of an operator on them. Every letter that is retried or
 * discarded leaves an entry in `messaging_audit`, in the same transaction.
 *
 * @hideconstructor
 */
@Injectable()
export class DeadLetters {
  private readonly changes: LetterChanges;
  private readonly notice: ReleaseNotice;
  private readonly notifyAfterCommit = () => void this.notice.send();

  constructor(
    @Inject(MESSAGING_OPTIONS) options: MessagingOptions,
    private readonly dataSources: DataSources,
    dueWork: DueWork,
    private readonly afterCommit: AfterCommit,
  ) {
    this.changes = new LetterChanges(options);
    this.notice = new ReleaseNotice(options.schema, dataSources, dueWork);
  }

  /**
   * Lists the matching letters by time of death, newest or oldest first. A letter that exists from the first page to the last is
   * listed exactly once. One call looks at 100,000 letters at most, or 40,000 with a `cause`, so a page with few or no letters may have a
   * cursor.
   * @throws InvalidInputError for an invalid limit, cursor, id or date, or a filter that the box does not have
   */
  async list(
    filter: LetterFilter,
    page: LetterPage & { readonly order?: 'newest' | 'oldest' | undefined } = {},
  ): Promise<Page<DeadLetter>> {
    checkFilter(filter);
    const limit = limitOf(page);
    const after = placeOf(page.cursor);
    const oldestFirst = page.order === 'oldest';
    const { rows, lookedUpTo } = await this.changes.stores[filter.box].list(this.dataSources.default, filter, {
      limit: limit + 1,
      oldestFirst,
      after,
    });
    const { items, nextCursor } = toPage(rows, limit, cursorOf, lookedUpTo);
    return { items: items.map(({ diedAtMicros: _, ...letter }) => letter), nextCursor };
  }

  /**
   * Groups the matching letters by the cause of their deaths, the most frequent cause first. Errors that differ only in ids, numbers and
   * quoted values have one cause.
   * @throws InvalidInputError for an invalid id or date, or a filter that the box does not have
   */
  async causes(filter: LetterFilter): Promise<Causes> {
    checkFilter(filter);
    return this.changes.stores[filter.box].causes(this.dataSources.default, filter);
  }

  /**
   * Returns all details of a letter, or undefined if there is no such dead letter (any more).
   * @throws InvalidInputError for an invalid id
   */
  async find(box: LetterBox, id: string): Promise<WholeLetter | undefined> {
    checkFilter({ box, ids: [id] });
    return this.changes.stores[box].find(this.dataSources.default, id);
  }

  /**
   * Retries the letters, counting attempts from zero, and returns how many. Letters of the same key are retried in order, each
   * before the messages that wait behind it. A letter that fails again becomes a dead letter again. An inbox letter that held no
   * key (it could not be read, or the consumer uses `go-on`) may be handled after later messages of its key, or concurrently
   * with them.
   *
   * Only letters that died before the call are retried, 200 per transaction. If the call throws or the process dies, the
   * completed transactions stay, and another call does the rest. If two calls select the same letter, the first one gets it.
   * @throws InvalidInputError if neither a filter nor `all` is given, or the box does not have the filter, or a value is
   * invalid; any database error
   */
  async retry(choice: LetterChoice, action: LetterAction): Promise<number> {
    return this.change('retry', choice, action);
  }

  /**
   * Discards the letters permanently, and returns how many; `action.reason` must say why. Messages that wait behind them become
   * due at once. A discarded inbox message stays recorded, so it is not handled when Kafka delivers it again; one that could not
   * be read would then become a dead letter again. An outbox message is also removed from its log. The payload is lost: the
   * audit entry describes the message without it.
   *
   * Transactions and errors are those of {@link retry}.
   */
  async discard(choice: LetterChoice, action: LetterAction & { readonly reason: string }): Promise<number> {
    checkReason(action.reason);
    return this.change('discard', choice, action);
  }

  /**
   * Retries one letter in the caller's transaction, like {@link retry}, and returns it as it was. Returns undefined if it is no longer
   * dead. `tx` must not have locked parked messages, dead letters or the audit before, because everyone locks them in one order. From
   * then on it waits for a lock at most five seconds, or until the statement timeout if that is shorter.
   * @throws InvalidInputError for an invalid value; Error without an open transaction; any database error
   */
  async retryOne(tx: EntityManager, box: LetterBox, id: string, action: LetterAction): Promise<DeadLetter | undefined> {
    return this.changeOne(tx, 'retry', { box, ids: [id] }, action);
  }

  /** Discards one letter permanently, like {@link discard}, in the caller's transaction, like {@link retryOne}. */
  async discardOne(
    tx: EntityManager,
    box: LetterBox,
    id: string,
    action: LetterAction & { readonly reason: string },
  ): Promise<DeadLetter | undefined> {
    checkReason(action.reason);
    return this.changeOne(tx, 'discard', { box, ids: [id] }, action);
  }

  /**
   * Replaces the payload of one letter and retries it in the caller's transaction, like {@link retryOne}. Its id stays. `payload` is the
   * value of the record: the JSON of the data, or in the structured mode of CloudEvents the JSON of the whole event. The audit entry has
   * the original payload, the edited one and their difference (RFC 6902). An inbox letter that could not be read takes its place in its
   * key, before the messages that are still parked.
   * @throws EditRefusedError for a payload that the inbox or outbox would not accept, and whenever {@link retryOne} throws. The
   * transaction then has to be rolled back.
   */
  async edit(
    tx: EntityManager,
    box: LetterBox,
    id: string,
    payload: string,
    action: LetterAction & { readonly reason: string },
  ): Promise<DeadLetter | undefined> {
    checkFilter({ box, ids: [id] });
    checkReason(action.reason);
    checkAction(action);
    const queryRunner = await beginOperatorAction(tx);
    const letter = await this.changes.edit(tx, box, id, payload, action);
    if (letter) this.afterCommit.run(queryRunner, this.notifyAfterCommit);
    return letter;
  }

  private async change(action: LetterChange, choice: LetterChoice, by: LetterAction): Promise<number> {
    checkFilter(choice);
    checkChosen(choice);
    checkAction(by);
    const store = this.changes.stores[choice.box];
    // The operator has not seen letters that die from now on, and a retried letter that dies again must not be retried for ever.
    const now = await currentTime(this.dataSources.default);
    const selection = { ...choice, diedBefore: earliest(choice.diedBefore, now) };
    let changed = 0;
    let after: LetterCursor | undefined;
    for (;;) {
      const chunk = await store.next(this.dataSources.default, selection, after, CHUNK);
      if (chunk.ids.length > 0) changed += await this.changeChunk(action, selection, chunk.ids, by);
      if (!chunk.more) return changed;
      after = chunk.after;
    }
  }

  private async changeChunk(
    action: LetterChange,
    selection: Selection<LetterFilter>,
    ids: readonly string[],
    by: LetterAction,
  ): Promise<number> {
    const letters = await operatorTransaction(this.dataSources.default, async (tx) =>
      this.changes.apply(tx, action, selection, ids, by),
    );
    await this.notice.send();
    return letters.length;
  }

  private async changeOne(
    tx: EntityManager,
    change: LetterChange,
    filter: LetterFilter & { readonly ids: readonly string[] },
    action: LetterAction,
  ): Promise<DeadLetter | undefined> {
    checkFilter(filter);
    checkAction(action);
    const queryRunner = await beginOperatorAction(tx);
    const [letter] = await this.changes.apply(tx, change, filter, filter.ids, action);
    if (letter) this.afterCommit.run(queryRunner, this.notifyAfterCommit);
    return letter;
  }
}
