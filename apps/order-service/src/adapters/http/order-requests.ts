import { Injectable } from '@nestjs/common';
import {
  actorOf,
  type Caller,
  conditionalResponse,
  etagOf,
  type IdempotencyKey,
  isOperator,
  type Answer,
  logContext,
  type Preconditions,
  stateOrProblem,
  UnitOfWork,
} from '@twinbox/api-kit';
import { Clock } from '@twinbox/kernel';
import { type FastifyReply } from 'fastify';
import { type EntityManager } from 'typeorm';
import { type OrderCommand, type Origin, type Requester } from '../../application/order-journal.js';
import { PlaceOrder } from '../../application/place-order.js';
import { type Placement } from '../../application/place-together.js';
import { OrderServiceConfig } from '../../config.js';
import { type Order, type OrderDecision } from '../../domain/order.js';
import { OrderPlacements } from './order-placements.js';
import { orderProblems } from './order-problems.js';
import { type OrderDto, orderDto } from './order.dto.js';

/** Runs the requests for a single order. They return its current state, and its version as the ETag. */
@Injectable()
export class OrderRequests {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly placements: OrderPlacements,
    private readonly placeOrder: PlaceOrder,
    private readonly clock: Clock,
    private readonly config: OrderServiceConfig,
  ) {}

  /** Runs the work in a transaction, in its {@link UnitOfWork.run turn}. A rejection is thrown as its problem, which rolls it back. */
  async change(
    key: IdempotencyKey | undefined,
    reply: FastifyReply,
    work: (tx: EntityManager) => Promise<OrderDecision>,
    turn?: string,
  ): Promise<Answer<OrderDto>> {
    const order = await this.unitOfWork.run(
      key,
      async (tx) => this.show(stateOrProblem(await work(tx), orderProblems)),
      ({ customerId }) => customerId,
      turn,
    );
    return this.answer(order, reply);
  }

  /** Places a new order, together with those of concurrent requests. An order with a key is placed on its own. */
  async place(key: IdempotencyKey | undefined, reply: FastifyReply, placement: Placement): Promise<Answer<OrderDto>> {
    const decision = key ? undefined : await this.placements.place(placement);
    if (decision) return this.answer(this.show(stateOrProblem(decision, orderProblems)), reply);
    const { wanted, origin } = placement;
    return this.change(key, reply, (tx) => this.placeOrder.atOnce(tx, wanted, origin), wanted.customerId);
  }

  private answer(order: Answer<OrderDto>, reply: FastifyReply): Answer<OrderDto> {
    logContext({ orderId: order.id });
    reply.header('etag', etagOfOrder(order));
    return order;
  }

  /** Answers a GET. A late order has no Last-Modified, because it became late without changing `updatedAt`. */
  read(order: Order, preconditions: Preconditions, reply: FastifyReply): OrderDto | undefined {
    const shown = this.show(order);
    const modifiedAt = shown.late ? undefined : shown.updatedAt;
    return conditionalResponse(reply, preconditions, etagOfOrder(shown), shown, modifiedAt);
  }

  private show(order: Order): OrderDto {
    return orderDto(order, this.clock.now(), this.config.PAYMENT_LATE_AFTER);
  }
}

/** Includes lateness, because an order becomes late without a new version. */
function etagOfOrder({ version, late }: Pick<OrderDto, 'version' | 'late'>): string {
  return etagOf(version, late ? 'late' : undefined);
}

export function originOf(caller: Caller, cause: string): Origin {
  return { actor: actorOf(caller), cause };
}

export function requesterOf(caller: Caller): Requester {
  return { userId: caller.userId, isOperator: isOperator(caller) };
}

export function commandOf(
  caller: Caller,
  cause: string,
  orderId: string,
  { version: precondition }: Preconditions,
): OrderCommand {
  logContext({ orderId });
  return { ...originOf(caller, cause), orderId, by: requesterOf(caller), precondition };
}
