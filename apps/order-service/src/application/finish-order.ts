import { Injectable } from '@nestjs/common';
import { Clock } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { finishOrder, type OrderDecision } from '../domain/order.js';
import { type OrderCommand, OrderCommands } from './order-journal.js';

@Injectable()
export class FinishOrder {
  constructor(
    private readonly commands: OrderCommands,
    private readonly clock: Clock,
  ) {}

  async execute(tx: EntityManager, command: OrderCommand): Promise<OrderDecision> {
    return this.commands.run(tx, command, 'operator', (order) => finishOrder(order, this.clock.now()));
  }
}
