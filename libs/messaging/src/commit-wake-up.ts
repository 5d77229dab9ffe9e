import { Injectable } from '@nestjs/common';
import {
  type EntitySubscriberInterface,
  type QueryRunner,
  type TransactionCommitEvent,
  type TransactionRollbackEvent,
} from 'typeorm';
import { Relay } from './relay.js';

/**
 * Wakes the relay, or who else is named, when a transaction that wrote rows for it has committed, so that none waits for a
 * poll. A wake-up is a hint: it is lost with the process, so whoever is woken polls as well.
 */
@Injectable()
export class CommitWakeUp implements EntitySubscriberInterface {
  private readonly wakes = new WeakMap<QueryRunner, Set<() => void>>();
  private readonly wakeRelay = () => this.relay.wake();

  constructor(private readonly relay: Relay) {}

  /**
   * Calls `wake` once after the commit of the query runner's open transaction, however often it was named in it: give the same
   * function each time. It must return at once and not throw. After a rollback it is not called.
   */
  onCommitOf(queryRunner: QueryRunner, wake = this.wakeRelay): void {
    // Here and not at start-up: a DataSource makes its list of subscribers anew when it connects.
    const { subscribers } = queryRunner.dataSource;
    if (!subscribers.includes(this)) subscribers.push(this);
    const wakes = this.wakes.get(queryRunner) ?? new Set();
    this.wakes.set(queryRunner, wakes.add(wake));
  }

  /** TypeORM calls this for savepoints too: rows count as committed only when the transaction has ended. */
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
