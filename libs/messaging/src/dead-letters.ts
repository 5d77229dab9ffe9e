import { Inject, Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { DataSource } from 'typeorm';
import { Audit, type AuditEntry } from './audit.js';
import {
  type DeadLetter,
  type LetterBox,
  type LetterCursor,
  type LetterFilter,
  type LetterPlace,
  type LetterStore,
  microsOf,
  type WholeLetter,
} from './dead-letter.js';
import { DueWork } from './due-work.js';
import { InboxLetterStore } from './inbox-letter-store.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from './messaging-options.js';
import { channelOf } from './outbox-store.js';
import {
  checkAction,
  checkReason,
  type LetterAction,
  type LetterPage,
  type Letters,
  toPage,
  limitOf,
  operatorTransaction,
} from './operator.js';
import { OutboxLetterStore } from './outbox-letter-store.js';

/** Which letters to change. Letters of a whole box only with `all`: a filter that was forgotten must not discard them. */
export interface LetterChoice extends LetterFilter {
  readonly all?: boolean | undefined;
}

type Action = 'retry' | 'discard';

const FILTERS = ['ids', 'consumer', 'aggregateType', 'type', 'key', 'diedAfter', 'diedBefore'] as const;

/**
 * The dead letters of the service's outbox and inbox, for the person who decides about them. Every letter that is retried or
 * discarded leaves an entry in `messaging_audit`, in the same transaction.
 */
@Injectable()
export class DeadLetters {
  private readonly stores: Readonly<Record<LetterBox, LetterStore>>;
  private readonly audit: Audit;

  constructor(
    @Inject(MESSAGING_OPTIONS) private readonly options: MessagingOptions,
    private readonly modules: ModuleRef,
    private readonly dueWork: DueWork,
  ) {
    const { schema, consumes } = options;
    const goOn = consumes.filter(({ afterDeadLetter }) => afterDeadLetter === 'go-on').map(({ groupId }) => groupId);
    this.stores = { outbox: new OutboxLetterStore(schema), inbox: new InboxLetterStore(schema, goOn) };
    this.audit = new Audit(schema);
  }

  /**
   * The letters that match, by the time they died: the newest first, or the oldest. No letter that is there from the first
   * page to the last is missed or told twice.
   * @throws RangeError for an invalid limit, cursor, id or date; TypeError for a filter that the box does not have
   */
  async list(
    filter: LetterFilter,
    page: LetterPage & { readonly order?: 'newest' | 'oldest' | undefined } = {},
  ): Promise<Letters<DeadLetter>> {
    checkFilter(filter);
    const limit = limitOf(page);
    const after = placeOf(page.cursor);
    const oldestFirst = page.order === 'oldest';
    const rows = await this.stores[filter.box].list(this.dataSource, filter, { limit: limit + 1, oldestFirst, after });
    const { items, nextCursor } = toPage(rows, limit, ({ diedAtMicros, id }) => `${diedAtMicros}-${id}`);
    return { items: items.map(({ diedAtMicros: _, ...letter }) => letter), nextCursor };
  }

  /**
   * Everything that is known of a letter; undefined when there is no such dead letter (any more).
   * @throws RangeError for an invalid id
   */
  async find(box: LetterBox, id: string): Promise<WholeLetter | undefined> {
    checkFilter({ box, ids: [id] });
    return this.stores[box].find(this.dataSource, id);
  }

  /**
   * Sends the letters on their way again, with their attempts counted anew, and tells how many. Those of a key go in its
   * order, each before what waits behind it; one that fails again is a dead letter again. A letter of the inbox that held
   * no key (it could not be read, or the consumer goes on) may be handled after, or beside, later messages of its key.
   *
   * Only letters that died before the call. 200 at a time are one transaction: when it throws, or the process dies, those
   * before are done, and another call does the rest. Of two calls with one letter the first to come has it.
   * @throws TypeError when neither a filter nor `all` is given, or the box does not have the filter; RangeError for an
   * invalid value; what the database throws
   */
  async retry(choice: LetterChoice, action: LetterAction): Promise<number> {
    return this.change('retry', choice, action);
  }

  /**
   * Gives the letters up for good, and tells how many; `action.reason` has to say why. What waits behind them goes on at
   * once. A message of the inbox stays known to it, so it is not handled when Kafka delivers it again; one that could not be
   * read is a dead letter again then. A message of the outbox is removed from its log too. What was in it is gone with it:
   * the audit keeps what it was, not its payload.
   *
   * Chunks and errors are those of {@link retry}.
   */
  async discard(choice: LetterChoice, action: LetterAction & { readonly reason: string }): Promise<number> {
    checkReason(action.reason);
    return this.change('discard', choice, action);
  }

  /**
   * What was done to letters, the newest first; to those of one message with `messageId`.
   * @throws RangeError for an invalid limit or cursor, or a messageId with a zero byte
   */
  async history(page: LetterPage & { readonly messageId?: string | undefined } = {}): Promise<Letters<AuditEntry>> {
    const { cursor, messageId } = page;
    const limit = limitOf(page);
    if (cursor !== undefined) checkId('cursor', cursor);
    if (messageId?.includes('\0')) throw new RangeError('A filter has a zero byte');
    const rows = await this.audit.read(this.dataSource, { messageId, before: cursor, limit: limit + 1 });
    return toPage(rows, limit, ({ id }) => id);
  }

  private async change(action: Action, choice: LetterChoice, by: LetterAction): Promise<number> {
    checkFilter(choice);
    checkChosen(choice);
    checkAction(by);
    const store = this.stores[choice.box];
    // What dies from now on is not what the person has seen; and a retried letter that dies again is not retried for ever.
    const [now]: { micros: string }[] = await this.dataSource.query(
      `select ${microsOf('clock_timestamp()')} as micros`,
    );
    let changed = 0;
    let after: LetterCursor | undefined;
    for (;;) {
      const chunk = await store.next(this.dataSource, choice, now?.micros ?? '0', after);
      if (!chunk) return changed;
      changed += await this.changeChunk(store, action, choice, chunk.ids, by);
      after = chunk.after;
      await this.notify();
    }
  }

  /** Locks in the order of everybody: the keys, then the audit, then letters that no live message's handler has locked. */
  private async changeChunk(
    store: LetterStore,
    action: Action,
    choice: LetterChoice,
    chosen: readonly string[],
    { actor, reason }: LetterAction,
  ): Promise<number> {
    return operatorTransaction(this.dataSource, async (tx) => {
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

  /** Not injected: a process that only relays has none. */
  private get dataSource(): DataSource {
    return this.modules.get(DataSource, { strict: false });
  }

  /** A notice that is lost costs a second: every process's poll sees the audit. */
  private async notify(): Promise<void> {
    this.dueWork.found('parked');
    await this.dataSource
      .query(`select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`, [
        channelOf(this.options.schema),
        'parked-changed',
      ])
      .catch(() => undefined);
  }
}

function checkFilter(filter: LetterFilter): void {
  const { box, consumer, aggregateType, ids, diedAfter, diedBefore } = filter;
  // Filters come from a command line or a URL: the compiler has not seen them.
  if (!['outbox', 'inbox'].includes(box)) throw new RangeError(`There is no box ${box as string}: outbox or inbox`);
  if (box === 'outbox' && consumer !== undefined) throw new TypeError('Letters of the outbox have no consumer');
  if (box === 'inbox' && aggregateType !== undefined) throw new TypeError('Letters of the inbox have no aggregateType');
  ids?.forEach((id) => checkId('id', id));
  for (const date of [diedAfter, diedBefore])
    // Other years are those of mistakes, and PostgreSQL does not know all that JavaScript does.
    if (date !== undefined && !(date.getUTCFullYear() >= 0 && date.getUTCFullYear() <= 9999))
      throw new RangeError('diedAfter or diedBefore is not a valid date');
  for (const text of [consumer, aggregateType, filter.type, filter.key])
    if (text?.includes('\0')) throw new RangeError('A filter has a zero byte');
}

function checkChosen(choice: LetterChoice): void {
  const given = FILTERS.some((name) => choice[name] !== undefined);
  if (!given && choice.all !== true) throw new TypeError(`No filter is given: all: true means the whole ${choice.box}`);
  if (given && choice.all === true) throw new TypeError('Either a filter or all: true');
}

function checkId(what: string, id: string): void {
  if (!/^-?\d{1,18}$/.test(id)) throw new RangeError(`${JSON.stringify(id)} is not a valid ${what}`);
}

function placeOf(cursor: string | undefined): LetterPlace | undefined {
  if (cursor === undefined) return undefined;
  const [, diedAtMicros, id] = /^(\d{1,17})-(-?\d{1,18})$/.exec(cursor) ?? [];
  if (diedAtMicros === undefined || id === undefined) throw new RangeError(`${JSON.stringify(cursor)} is no cursor`);
  return { diedAtMicros, id };
}
