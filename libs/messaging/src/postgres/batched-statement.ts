import DataLoader from 'dataloader';
import { type EntityManager, type QueryRunner } from 'typeorm';

/**
 * Combines what several callers ask of one transaction in one turn of the event loop into one statement. Handlers that share a
 * transaction (group commit) run concurrently, so a step that they all take costs one round trip in total. Nothing changes for a
 * single caller.
 *
 * The statement is sent at the end of the turn. Await it before the transaction ends, even if a concurrent statement fails (see
 * `allDone`).
 */
export class BatchedStatement<Item, Result> {
  private readonly loaders = new WeakMap<QueryRunner, DataLoader<Item, Result>>();

  /** `statement` returns the results in the order of the items. An Error is thrown only to the caller that passed its item. */
  constructor(
    private readonly statement: (tx: EntityManager, items: readonly Item[]) => Promise<ArrayLike<Result | Error>>,
  ) {}

  /** @throws what the statement throws, and an Error if `tx` is not in a transaction */
  async run(tx: EntityManager, item: Item): Promise<Result> {
    const runner = tx.queryRunner;
    if (!runner?.isTransactionActive) throw new Error('must be called with the manager of an open transaction');
    let loader = this.loaders.get(runner);
    if (!loader) {
      loader = new DataLoader((items) => this.statement(tx, items), { cache: false });
      this.loaders.set(runner, loader);
    }
    return loader.load(item);
  }
}
