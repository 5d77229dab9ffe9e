import { Injectable } from '@nestjs/common';
import { Clock } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { finishOrder, type OrderDecision } from '../domain/order.js';
import { type OrderCommand, OrderJournal } from './order-journal.js';

@Injectable()
export class FinishOrder {
  constructor(
    private readonly journal: OrderJournal,
    private readonly clock: Clock,
  ) {}

  async execute(tx: EntityManager, command: OrderCommand): Promise<OrderDecision> {
    return this.journal.run(tx, command, 'operator', (order) => finishOrder(order, this.clock.now()));
  }
}
