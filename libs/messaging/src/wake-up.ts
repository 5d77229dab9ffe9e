import { Injectable } from '@nestjs/common';
import { type EntitySubscriberInterface, type QueryRunner, type TransactionCommitEvent } from 'typeorm';
import { Relay } from './relay.js';

/** Wakes the relay when a transaction that wrote outbox rows has committed, so that none waits for a poll. */
@Injectable()
export class OutboxWakeUp implements EntitySubscriberInterface {
  private readonly writers = new WeakSet<QueryRunner>();

  constructor(private readonly relay: Relay) {}

  onCommitOf(queryRunner: QueryRunner): void {
    // Here and not at start-up: a DataSource makes its list of subscribers anew when it connects.
    const { subscribers } = queryRunner.dataSource;
    if (!subscribers.includes(this)) subscribers.push(this);
    this.writers.add(queryRunner);
  }

  /** TypeORM calls this for savepoints too: rows count as committed only when the transaction has ended. */
  afterTransactionCommit({ queryRunner }: TransactionCommitEvent): void {
    if (!queryRunner.isTransactionActive && this.writers.delete(queryRunner)) this.relay.wake();
  }
}
