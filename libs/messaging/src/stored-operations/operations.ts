import { Inject, Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { InvalidInputError } from '../errors.js';
import { isUuid } from '../message/column-text.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { Audit } from '../operations/audit.js';
import {
  beginOperatorAction,
  checkAction,
  checkReason,
  type LetterAction,
  type LetterPage,
  limitOf,
  type Page,
  toPage,
} from '../operations/operator.js';
import { DueWork } from '../poll/due-work.js';
import { AfterCommit } from '../postgres/after-commit.js';
import { DataSources } from '../postgres/data-sources.js';
import { operatorTime } from '../operations/operator-time.js';
import { checkOptions } from './check-options.js';
import { auditOperation } from './operation-audit.js';
import { type Json, OPERATION_KINDS, type OperationKind, type OperationOptions } from './operation-kind.js';
import { OperationStore } from './operation-store.js';
import {
  type DryRun,
  type NewOperation,
  OPERATION_STATES,
  type OperationRequest,
  type OperationState,
  type StoredOperation,
} from './stored-operation.js';

/**
 * The bulk actions of operators. An operation is stored, and then run by any one process of the service at a time. If that process dies,
 * another continues where it stopped, and each item is handled once. Operations that run at the same time take turns.
 *
 * The filter is frozen at creation together with a time, `asOf`. Items that came later, such as a retried letter that dies again, are not
 * handled. If two operations select the same item, the first to reach it gets it, and the other one skips it.
 *
 * @hideconstructor
 */
@Injectable()
export class Operations {
  private readonly store: OperationStore;
  private readonly audit: Audit;
  private readonly kinds: ReadonlyMap<string, OperationKind>;
  private readonly wakeRunner = () => this.dueWork.found('operations');

  constructor(
    @Inject(MESSAGING_OPTIONS) { schema }: MessagingOptions,
    @Inject(OPERATION_KINDS) kinds: readonly OperationKind[],
    private readonly dataSources: DataSources,
    private readonly dueWork: DueWork,
    private readonly afterCommit: AfterCommit,
  ) {
    this.store = new OperationStore(schema);
    this.audit = new Audit(schema);
    this.kinds = new Map(kinds.map((kind) => [kind.name, kind]));
  }

  /**
   * Counts what an operation would handle now, up to 100,000 items, and shows the first ones. Changes nothing. {@link create} takes the
   * result. Must not be called in a transaction, because it may take a second, and a replay's also asks Kafka.
   * @throws InvalidInputError for an invalid value, an unknown or missing filter, or an option that the kind does not have
   */
  async preview(request: OperationRequest): Promise<DryRun> {
    const { kind, filter, options, asOf: given } = this.checked(request);
    const db = this.dataSources.default;
    const asOf = await this.store.time(db, given);
    return { asOf, ...(await kind.preview(db, filter, asOf, options)) };
  }

  /**
   * Stores an operation in the caller's transaction, with an audit entry, for the items that its dry run has counted. A process of the
   * service begins to run it right after the commit. Discards require a reason. A lock is waited for at most five seconds from then on,
   * or until the statement timeout if that is shorter. `tx` must not have locked the audit before.
   * @throws InvalidInputError for an invalid value, an empty actor or a blank reason, an unknown or missing filter, or an option that
   *   the kind does not have; Error without an open transaction
   */
  async create(tx: EntityManager, request: NewOperation): Promise<StoredOperation> {
    const { actor, reason, dryRun } = request;
    checkAction({ actor, reason });
    const { kind, filter, options } = this.checked(request);
    if (kind.name.startsWith('discard-')) checkReason(reason ?? '');
    const queryRunner = await beginOperatorAction(tx);
    const { total, totalIsExact } = dryRun;
    const asOf = await this.store.time(tx, dryRun.asOf);

    await this.audit.lock(tx);
    const row = { id: uuidv7(), kind: kind.name, filter, asOf, options, total, totalIsExact, actor, reason };
    const operation = await this.store.insert(tx, row);
    await auditOperation(tx, this.audit, 'create', operation, { actor, reason });
    this.afterCommit.run(queryRunner, this.wakeRunner);
    return operation;
  }

  /**
   * Lists operations, newest first, of one state or of all.
   * @throws InvalidInputError for an invalid state, limit or cursor
   */
  async list(
    { state }: { readonly state?: OperationState | undefined } = {},
    page: LetterPage = {},
  ): Promise<Page<StoredOperation>> {
    if (state !== undefined && !OPERATION_STATES.includes(state))
      throw new InvalidInputError(`state must be one of ${OPERATION_STATES.join(', ')}, not ${state as string}`);
    const limit = limitOf(page);
    if (page.cursor !== undefined && !isUuid(page.cursor))
      throw new InvalidInputError(`${JSON.stringify(page.cursor)} is not a valid cursor`);
    const rows = await this.store.list(this.dataSources.default, state, { limit: limit + 1, cursor: page.cursor });
    return toPage(rows, limit, ({ id }) => id);
  }

  /** Returns an operation, or undefined if there is none with this id (any more). @throws InvalidInputError for an invalid id */
  async find(id: string): Promise<StoredOperation | undefined> {
    checkOperationId(id);
    return this.store.find(this.dataSources.default, id);
  }

  /**
   * Cancels an operation in the caller's transaction, with an audit entry, and returns it; undefined if there is none with this id. What
   * it has handled stays handled. A step in progress is undone, except that a replay may have published its messages already. An
   * operation that has ended is returned unchanged, so check its `state`. Locks are waited for as in {@link create}.
   * @throws InvalidInputError for an invalid id, an empty actor or a blank reason; Error without an open transaction
   */
  async cancel(tx: EntityManager, id: string, action: LetterAction): Promise<StoredOperation | undefined> {
    checkOperationId(id);
    checkAction(action);
    await beginOperatorAction(tx);
    await this.audit.lock(tx);
    const cancelled = await this.store.cancel(tx, id, action.actor);
    if (!cancelled) return this.store.find(tx, id);
    await auditOperation(tx, this.audit, 'cancel', cancelled, action);
    return cancelled;
  }

  private checked(request: OperationRequest) {
    const kind = this.kinds.get(request.kind);
    if (!kind)
      throw new InvalidInputError(`kind must be one of ${[...this.kinds.keys()].join(', ')}, not ${request.kind}`);
    const { asOf, ...options } = request.options ?? {};
    checkOptions(options);
    // As it is read back later: dates become texts, and what is undefined disappears.
    const filter = JSON.parse(JSON.stringify(request.filter)) as Readonly<Record<string, Json>>;
    kind.check(filter, options);
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    return {
      kind,
      filter,
      options: Object.fromEntries(given) as OperationOptions,
      asOf: asOf === undefined ? undefined : operatorTime('asOf', asOf),
    };
  }
}

function checkOperationId(id: string): void {
  if (!isUuid(id)) throw new InvalidInputError(`${JSON.stringify(id)} is not an operation id`);
}
