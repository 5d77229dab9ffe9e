import { Injectable } from '@nestjs/common';
import {
  type EntitySubscriberInterface,
  type QueryRunner,
  type TransactionCommitEvent,
  type TransactionRollbackEvent,
} from 'typeorm';
import { Relay } from '../relay/relay.js';

/**
 * Runs a callback after a transaction commits. By default it wakes the relay, so that new rows need not wait for a poll.
 * A wake-up is only a hint. It is lost if the process dies, so a listener must also poll.
 */
@Injectable()
export class CommitWakeUp implements EntitySubscriberInterface {
  private readonly wakes = new WeakMap<QueryRunner, Set<() => void>>();
  private readonly wakeRelay = () => this.relay.wake();

  constructor(private readonly relay: Relay) {}

  /**
   * Calls `wake` after the query runner's open transaction commits, and never after a rollback. Passing the same function several
   * times in one transaction calls it once. It must return at once and not throw.
   */
  onCommitOf(queryRunner: QueryRunner, wake = this.wakeRelay): void {
    // Not at start-up, because a DataSource recreates its list of subscribers when it connects.
    const { subscribers } = queryRunner.dataSource;
    if (!subscribers.includes(this)) subscribers.push(this);
    const wakes = this.wakes.get(queryRunner) ?? new Set();
    this.wakes.set(queryRunner, wakes.add(wake));
  }

  /** TypeORM also calls this for savepoints, but rows are committed only when the whole transaction has ended. */
  afterTransactionCommit({ queryRunner }: TransactionCommitEvent): void {
    if (queryRunner.isTransactionActive) return;
    const wakes = this.wakes.get(queryRunner);
    this.wakes.delete(queryRunner);
    wakes?.forEach((wake) => wake());
  }

  afterTransactionRollback({ queryRunner }: TransactionRollbackEvent): void {
    if (!queryRunner.isTransactionActive) this.wakes.delete(queryRunner);
  }
}
