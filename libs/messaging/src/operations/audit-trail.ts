import { Inject, Injectable } from '@nestjs/common';
import { InvalidInputError } from '../errors.js';
import { isUuid, storable } from '../message/column-text.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { DataSources } from '../postgres/data-sources.js';
import { Audit, type AuditedAction, type AuditEntry, type AuditFilter } from './audit.js';
import {
  checkFilterTexts,
  checkId,
  type LetterPage,
  limitOf,
  MAX_ACTOR,
  operatorTransaction,
  type Page,
} from './operator.js';

/** How often a refused action of one actor is written. */
const REFUSED_EVERY_MS = 1000;
/** The most actors that are remembered for that. */
const MAX_ACTORS = 10_000;

/**
 * What operators did to the service's messages and jobs, or tried to.
 *
 * @hideconstructor
 */
@Injectable()
export class AuditTrail {
  private readonly audit: Audit;
  /** When this process last wrote a refused action of an actor, or found one, the latest last. */
  private readonly refusals = new Map<string, number>();

  constructor(
    @Inject(MESSAGING_OPTIONS) { schema }: MessagingOptions,
    private readonly dataSources: DataSources,
  ) {
    this.audit = new Audit(schema);
  }

  /**
   * Lists entries, the newest first. With a filter other than `operation`, one call looks at 5,000 entries at most, so a page with few or no
   * entries may have a cursor. {@link find} returns details that are too long for a list.
   * @throws InvalidInputError for an invalid limit, cursor or operation, or a filter that PostgreSQL cannot store
   */
  async list(filter: AuditFilter = {}, page: LetterPage = {}): Promise<Page<AuditEntry>> {
    const limit = limitOf(page);
    const { cursor } = page;
    if (cursor !== undefined) checkId('cursor', cursor);
    const { operation } = filter;
    if (operation !== undefined && !isUuid(operation))
      throw new InvalidInputError(`${JSON.stringify(operation)} is not an operation id`);
    checkFilterTexts(...(Object.values(filter) as (string | undefined)[]));
    const { entries, lookedUpTo } = await this.audit.find(this.dataSources.default, filter, cursor, limit + 1);
    const items = entries.slice(0, limit);
    const last = entries.length > limit ? items.at(-1)?.id : lookedUpTo;
    return { items, nextCursor: last ?? null };
  }

  /** Returns an entry with its whole detail, or undefined if there is none (any more). @throws InvalidInputError for an invalid id */
  async find(id: string): Promise<AuditEntry | undefined> {
    checkId('id', id);
    return this.audit.findOne(this.dataSources.default, id);
  }

  /**
   * Records that an action was refused, either because the actor was not allowed to do it or because it is not possible, in a transaction
   * of its own. Returns false without doing so if any process has recorded a refusal of the actor within the last second, so that a
   * client that keeps trying does not fill the table.
   * @throws any database error
   */
  async refused({ reason, ...action }: Omit<AuditedAction, 'outcome' | 'operation'>): Promise<boolean> {
    const actor = Array.from(storable(action.actor)).slice(0, MAX_ACTOR).join('');
    if (!this.mayRecord(actor)) return false;
    try {
      return await operatorTransaction(this.dataSources.default, async (tx) => {
        await this.audit.lock(tx);
        if (await this.audit.isRefusedSince(tx, actor, REFUSED_EVERY_MS)) return false;
        await this.audit.write(tx, { ...action, actor, reason: reason && storable(reason), outcome: 'refused' }, [{}]);
        return true;
      });
    } catch (error) {
      this.refusals.delete(actor);
      throw error;
    }
  }

  /** Spares the database most of the refusals of one actor. */

  private mayRecord(actor: string): boolean {
    const now = performance.now();
    const last = this.refusals.get(actor);
    if (last !== undefined && now - last < REFUSED_EVERY_MS) return false;
    this.refusals.delete(actor);
    this.refusals.set(actor, now);
    const [oldest] = this.refusals.keys();
    if (this.refusals.size > MAX_ACTORS && oldest !== undefined) this.refusals.delete(oldest);
    return true;
  }
}
