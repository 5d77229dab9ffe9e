import { Injectable } from '@nestjs/common';
import { CommitWakeUp } from '@twinbox/messaging';
import { type EntityManager } from 'typeorm';
import { OrderChanges } from '../../application/order-changes.js';
import { OrderTimeline, type Step } from '../../application/order-timeline.js';
import { type OrderHead } from '../../domain/order.js';
import { insertSteps, stepRows } from './order-sql.js';

@Injectable()
export class PostgresOrderTimeline extends OrderTimeline {
  private readonly committed = () => this.changes.committed();

  constructor(
    private readonly wakeUp: CommitWakeUp,
    private readonly changes: OrderChanges,
  ) {
    super();
  }

  override async record(
    tx: EntityManager,
    order: Pick<OrderHead, 'id' | 'customerId'>,
    steps: readonly Step[],
  ): Promise<void> {
    if (steps.length === 0) return;
    await tx.query(insertSteps('$1'), [JSON.stringify(stepRows(order, steps))]);
    this.notifyAfterCommit(tx);
  }

  notifyAfterCommit({ queryRunner }: EntityManager): void {
    if (queryRunner) this.wakeUp.onCommitOf(queryRunner, this.committed);
  }
}
