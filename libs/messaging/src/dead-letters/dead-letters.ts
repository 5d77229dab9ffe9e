import { Inject, Injectable } from '@nestjs/common';
import { Audit, type AuditEntry } from '../operations/audit.js';
import { type DeadLetter, type LetterBox, type LetterFilter, type WholeLetter } from './dead-letter.js';
import { DueWork } from '../poll/due-work.js';
import { InboxLetterStore } from './inbox-letter-store.js';
import { checkChosen, checkFilter, type LetterChoice, placeOf } from './letter-choice.js';
import { type LetterCursor, type LetterStore } from './letter-store.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { DataSources } from '../postgres/data-sources.js';
import { channelOf } from '../postgres/notices.js';
import {
  checkAction,
  checkId,
  checkReason,
  type LetterAction,
  type LetterPage,
  type Page,
  toPage,
  limitOf,
  operatorTransaction,
} from '../operations/operator.js';
import { OutboxLetterStore } from './outbox-letter-store.js';
import { microsOf } from '../postgres/micros.js';

type Action = 'retry' | 'discard';

/**
 * The dead letters of the service's outbox and inbox, and the operations of an operator on them. Every letter that is retried or
 * discarded leaves an entry in `messaging_audit`, in the same transaction.
 *
 * @hideconstructor
 */
@Injectable()
export class DeadLetters {
  private readonly stores: Readonly<Record<LetterBox, LetterStore>>;
  private readonly audit: Audit;

  constructor(
    @Inject(MESSAGING_OPTIONS) private readonly options: MessagingOptions,
    private readonly dataSources: DataSources,
    private readonly dueWork: DueWork,
  ) {
    const { schema, consumes } = options;
    const goOn = consumes.filter(({ afterDeadLetter }) => afterDeadLetter === 'go-on').map(({ groupId }) => groupId);
    this.stores = { outbox: new OutboxLetterStore(schema), inbox: new InboxLetterStore(schema, goOn) };
    this.audit = new Audit(schema);
  }

  /**
   * Lists the matching letters by time of death, newest or oldest first. A letter that exists from the first page to the last is
   * listed exactly once.
   * @throws RangeError for an invalid limit, cursor, id or date; TypeError for a filter that the box does not have
   */
  async list(
    filter: LetterFilter,
    page: LetterPage & { readonly order?: 'newest' | 'oldest' | undefined } = {},
  ): Promise<Page<DeadLetter>> {
    checkFilter(filter);
    const limit = limitOf(page);
    const after = placeOf(page.cursor);
    const oldestFirst = page.order === 'oldest';
    const rows = await this.stores[filter.box].list(this.dataSources.default, filter, {
      limit: limit + 1,
      oldestFirst,
      after,
    });
    const { items, nextCursor } = toPage(rows, limit, ({ diedAtMicros, id }) => `${diedAtMicros}-${id}`);
    return { items: items.map(({ diedAtMicros: _, ...letter }) => letter), nextCursor };
  }

  /**
   * Returns all details of a letter, or undefined if there is no such dead letter (any more).
   * @throws RangeError for an invalid id
   */
  async find(box: LetterBox, id: string): Promise<WholeLetter | undefined> {
    checkFilter({ box, ids: [id] });
    return this.stores[box].find(this.dataSources.default, id);
  }

  /**
   * Retries the letters, counting attempts from zero, and returns how many. Letters of the same key are retried in order, each
   * before the messages that wait behind it. A letter that fails again becomes a dead letter again. An inbox letter that held no
   * key (it could not be read, or the consumer uses `go-on`) may be handled after later messages of its key, or concurrently
   * with them.
   *
   * Only letters that died before the call are retried, 200 per transaction. If the call throws or the process dies, the
   * completed transactions stay, and another call does the rest. If two calls select the same letter, the first one gets it.
   * @throws TypeError if neither a filter nor `all` is given, or the box does not have the filter; RangeError for an invalid
   * value; any database error
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
   * Lists the audit entries, newest first. With `messageId`, only those of one message.
   * @throws RangeError for an invalid limit or cursor, or a messageId with a zero byte
   */
  async history(page: LetterPage & { readonly messageId?: string | undefined } = {}): Promise<Page<AuditEntry>> {
    const { cursor, messageId } = page;
    const limit = limitOf(page);
    if (cursor !== undefined) checkId('cursor', cursor);
    if (messageId?.includes('\0')) throw new RangeError('A filter must not contain a zero byte');
    const rows = await this.audit.read(this.dataSources.default, { messageId, before: cursor, limit: limit + 1 });
    return toPage(rows, limit, ({ id }) => id);
  }

  private async change(action: Action, choice: LetterChoice, by: LetterAction): Promise<number> {
    checkFilter(choice);
    checkChosen(choice);
    checkAction(by);
    const store = this.stores[choice.box];
    // The operator has not seen letters that die from now on, and a retried letter that dies again must not be retried for ever.
    const [now]: { micros: string }[] = await this.dataSources.default.query(
      `select ${microsOf('clock_timestamp()')} as micros`,
    );
    let changed = 0;
    let after: LetterCursor | undefined;
    for (;;) {
      const chunk = await store.next(this.dataSources.default, choice, now?.micros ?? '0', after);
      if (!chunk) return changed;
      changed += await this.changeChunk(store, action, choice, chunk.ids, by);
      after = chunk.after;
      await this.notify();
    }
  }

  /** Locks in the same order as everyone else: the keys, then the audit, then letters, which no running handler has locked. */
  private async changeChunk(
    store: LetterStore,
    action: Action,
    choice: LetterChoice,
    chosen: readonly string[],
    { actor, reason }: LetterAction,
  ): Promise<number> {
    return operatorTransaction(this.dataSources.default, async (tx) => {
      await store.lockKeys(tx, chosen);
      await this.audit.lock(tx);
      const letters = await store.take(tx, choice, chosen);
      if (letters.length === 0) return 0;
      await store[action](
        tx,
        letters.map(({ id }) => id),
      );
      await this.audit.write(tx, { actor, action, box: choice.box, reason }, letters);
      return letters.length;
    });
  }

  /** Notifies all processes of the change. A lost notice costs a second, because every process's poll sees the audit. */
  private async notify(): Promise<void> {
    this.dueWork.found('parked');
    await this.dataSources.default
      .query(`select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`, [
        channelOf(this.options.schema),
        'parked-changed',
      ])
      .catch(() => undefined);
  }
}
