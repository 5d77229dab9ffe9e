import { Injectable } from '@nestjs/common';
import {
  type EntitySubscriberInterface,
  type QueryRunner,
  type TransactionCommitEvent,
  type TransactionRollbackEvent,
} from 'typeorm';

/**
 * Runs hooks after a transaction commits, such as a wake-up, so that new rows need not wait for a poll. A hook is only a hint. It is
 * lost if the process dies, so whatever it wakes must also poll.
 *
 * @hideconstructor
 */
@Injectable()
export class AfterCommit implements EntitySubscriberInterface {
  private readonly hooks = new WeakMap<QueryRunner, Set<() => void>>();

  /**
   * Calls `hook` after the query runner's open transaction commits, and never after a rollback. Passing the same function several
   * times in one transaction calls it once. It must return at once and not throw.
   */
  run(queryRunner: QueryRunner, hook: () => void): void {
    // Not at start-up, because a DataSource recreates its list of subscribers when it connects.
    const { subscribers } = queryRunner.dataSource;
    if (!subscribers.includes(this)) subscribers.push(this);
    const hooks = this.hooks.get(queryRunner) ?? new Set();
    this.hooks.set(queryRunner, hooks.add(hook));
  }

  /**
   * TypeORM also calls this for savepoints, but rows are committed only when the whole transaction has ended.
   * @internal
   */
  afterTransactionCommit({ queryRunner }: TransactionCommitEvent): void {
    if (queryRunner.isTransactionActive) return;
    const hooks = this.hooks.get(queryRunner);
    this.hooks.delete(queryRunner);
    hooks?.forEach((hook) => hook());
  }

  /** @internal */
  afterTransactionRollback({ queryRunner }: TransactionRollbackEvent): void {
    if (!queryRunner.isTransactionActive) this.hooks.delete(queryRunner);
  }
}
