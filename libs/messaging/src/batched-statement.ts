import DataLoader from 'dataloader';
import { type EntityManager, type QueryRunner } from 'typeorm';

/**
 * What many ask of one transaction within the same turn, in one statement. Handlers that share a transaction (group commit) run
 * side by side, so a step that they all take costs one round trip for all of them; for a lone one nothing is different.
 *
 * What is asked is sent at the end of the turn. So await it before the transaction ends, also when something beside it fails: see
 * `allDone`.
 */
export class BatchedStatement<Item, Result> {
  private readonly loaders = new WeakMap<QueryRunner, DataLoader<Item, Result>>();

  /** `run` gives the result of each item, in their order; an Error is thrown to the one that asked for that item. */
  constructor(
    private readonly statement: (tx: EntityManager, items: readonly Item[]) => Promise<ArrayLike<Result | Error>>,
  ) {}

  /** @throws what the statement throws, and when `tx` is not in a transaction */
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
