import { type DataSource, type EntityManager } from 'typeorm';
import { type LetterChange } from '../dead-letters/letter-changes.js';
import { type DeadStore, type LetterCursor, type Selection } from '../dead-letters/letter-store.js';
import { type LetterAction, operatorTransaction } from '../operations/operator.js';
import { earliest } from '../postgres/time-text.js';
import { refuseOptions } from './check-options.js';
import {
  type ItemOutcomes,
  type OperationFilter,
  type OperationKind,
  type OperationOptions,
  type OperationPreview,
  type RunningOperation,
  SHOWN_ITEMS,
  type StepContext,
} from './operation-kind.js';

interface Item {
  readonly id: string;
}

/** The dead letters or dead jobs of a service. */
export interface DeadItems<Filter extends { readonly diedBefore?: Date | undefined }> {
  /** The second part of the kind's name. */
  readonly name: string;
  /** @throws InvalidInputError for input that does not choose items */
  filterOf(json: OperationFilter): Filter;
  storeOf(filter: Selection<Filter>): DeadStore<Filter, Item>;
  /** Changes those of the chosen items that are still dead and match, with their audit entries. Returns them as they were. */
  apply(
    tx: EntityManager,
    change: LetterChange,
    selection: Selection<Filter>,
    chosen: readonly string[],
    by: LetterAction & { readonly operation: string },
  ): Promise<readonly Item[]>;
  /** Wakes whoever processes the items, after the commit. Does not throw. */
  wake(): Promise<void>;
  /** Names an item for an operator. */
  label(filter: Filter, id: string): string;
}

/** Retries or discards what is dead: letters in order within each key, jobs the oldest first. */
export class ChangeOperation<Filter extends { readonly diedBefore?: Date | undefined }> implements OperationKind {
  readonly name: string;

  constructor(
    private readonly change: LetterChange,
    private readonly items: DeadItems<Filter>,
  ) {
    this.name = `${change}-${items.name}`;
  }

  check(filter: OperationFilter, options: OperationOptions): void {
    this.items.filterOf(filter);
    refuseOptions(this.name, options, 'topic', 'force');
    // What is discarded is gone, so there is nothing to wait for.
    if (this.change === 'discard') refuseOptions(this.name, options, 'canary');
  }

  async preview(db: DataSource, filter: OperationFilter, asOf: string): Promise<OperationPreview> {
    const selection = this.selectionOf(filter, asOf);
    return this.items.storeOf(selection).preview(db, selection, SHOWN_ITEMS);
  }

  async step(operation: RunningOperation, atMost: number, { dataSource, save }: StepContext): Promise<void> {
    const { id, filter, asOf, actor, reason, progress } = operation;
    const selection = this.selectionOf(filter, asOf);
    const after = progress as LetterCursor | null;
    const chunk = await this.items.storeOf(selection).next(dataSource, selection, after ?? undefined, atMost);
    const by = { actor, reason: reason ?? undefined, operation: id };
    await operatorTransaction(dataSource, async (tx) => {
      const changed = chunk.ids.length > 0 ? await this.items.apply(tx, this.change, selection, chunk.ids, by) : [];
      await save(tx, {
        progress: chunk.after ?? null,
        done: changed.length,
        failed: 0,
        more: chunk.more,
        items: this.change === 'retry' ? changed.map((item) => item.id) : undefined,
      });
    });
    if (chunk.ids.length > 0) await this.items.wake();
  }

  async outcomes(db: DataSource, json: OperationFilter, items: readonly string[]): Promise<ItemOutcomes> {
    const filter = this.items.filterOf(json);
    const { waiting, failed } = await this.items.storeOf(filter).outcomes(db, items);
    return { waiting, failed: failed.map(({ id, error }) => ({ item: this.items.label(filter, id), error })) };
  }

  private selectionOf(json: OperationFilter, asOf: string): Selection<Filter> {
    const filter = this.items.filterOf(json);
    return { ...filter, diedBefore: earliest(filter.diedBefore, asOf) };
  }
}
