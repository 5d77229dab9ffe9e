import { Injectable } from '@nestjs/common';
import {
  actorOf,
  type Answer,
  type Caller,
  etagOf,
  type ExpectedVersion,
  type IdempotencyKey,
  isOperator,
  logContext,
  stateOrProblem,
  UnitOfWork,
} from '@twinbox/api-kit';
import { Clock } from '@twinbox/kernel';
import { type FastifyReply } from 'fastify';
import { type EntityManager } from 'typeorm';
import { type OrderCommand, type Requester } from '../../application/order-commands.js';
import { type Origin } from '../../application/order-timeline.js';
import { OrderServiceConfig } from '../../config.js';
import { type Order, type OrderDecision } from '../../domain/order.js';
import { orderProblems } from './order-problems.js';
import { type OrderDto, orderDto } from './order.dto.js';

/** How every route of one order answers: with the order as it is now, and its version as the ETag. */
@Injectable()
export class OrderAnswers {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly clock: Clock,
    private readonly config: OrderServiceConfig,
  ) {}

  /** Runs the work in a transaction, which is rolled back by a rejection: that is thrown, as its problem. */
  async change(
    key: IdempotencyKey | undefined,
    reply: FastifyReply,
    work: (tx: EntityManager) => Promise<OrderDecision>,
  ): Promise<Answer<OrderDto>> {
    const order = await this.unitOfWork.run(key, async (tx) =>
      this.show(stateOrProblem(await work(tx), orderProblems)),
    );
    logContext({ orderId: order.id });
    reply.header('etag', etagOf(order.version));
    return order;
  }

  show(order: Order): OrderDto {
    return orderDto(order, this.clock.now(), this.config.PAYMENT_LATE_AFTER);
  }
}

/** `route` as the order's history names it: `POST /orders/:orderId/cancel`. */
export function originOf(caller: Caller, route: string): Origin {
  return { actor: actorOf(caller), cause: route };
}

export function requesterOf(caller: Caller): Requester {
  return { userId: caller.userId, isOperator: isOperator(caller) };
}

export function commandOf(
  caller: Caller,
  route: string,
  orderId: string,
  seen: ExpectedVersion | undefined,
): OrderCommand {
  logContext({ orderId });
  // `*` asks that there is an order, which every command needs anyway.
  const expectedVersion = seen === '*' ? undefined : seen;
  return { ...originOf(caller, route), orderId, by: requesterOf(caller), expectedVersion };
}
