import { Injectable } from '@nestjs/common';
import {
  actorOf,
  type Answer,
  type AnswerHeaders,
  type Caller,
  etagOf,
  type Exchange,
  isOperator,
  logContext,
  problemOf,
  stateOrProblem,
  UnitOfWork,
} from '@twinbox/api-kit';
import { Clock } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { CancelOrder } from '../../application/cancel-order.js';
import { EditCart } from '../../application/edit-cart.js';
import { FinishOrder } from '../../application/finish-order.js';
import { isVisible, type OrderCommand, type Origin, type Requester } from '../../application/order-journal.js';
import { OrderStore } from '../../application/order-store.js';
import { PlaceOrder } from '../../application/place-order.js';
import { type Placement } from '../../application/place-together.js';
import { OrderServiceConfig } from '../../config.js';
import { type Order, type OrderDecision } from '../../domain/order.js';
import { type ChangeItemDto, type NewOrderDto, type OrderLineDto, type PlaceDraftDto } from './order-body.dto.js';
import { OrderPlacements } from './order-placements.js';
import { orderProblems } from './order-problems.js';
import { type OrderDto, orderDto } from './order.dto.js';

/** The exchange of a request that creates an order, so that there is nothing to compare a version with. */
type Opening = Omit<Exchange, 'preconditions'>;

/** Runs the requests for a single order, of REST and gRPC. They return its current state, and its version as the ETag. */
@Injectable()
export class OrderRequests {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly placements: OrderPlacements,
    private readonly placeOrder: PlaceOrder,
    private readonly editCart: EditCart,
    private readonly cancelOrder: CancelOrder,
    private readonly finishOrder: FinishOrder,
    private readonly orders: OrderStore,
    private readonly clock: Clock,
    private readonly config: OrderServiceConfig,
  ) {}

  async open({ draft, items = [], description }: NewOrderDto, exchange: Opening): Promise<Answer<OrderDto>> {
    const { userId } = exchange.caller;
    const wanted = { customerId: userId, description: description ?? null, lines: items };
    const origin = originOf(exchange);
    return draft
      ? this.change(exchange, (tx) => this.editCart.open(tx, wanted, origin), userId)
      : this.placeAtOnce(exchange, { wanted, origin });
  }

  async addItem(orderId: string, line: OrderLineDto, exchange: Exchange): Promise<Answer<OrderDto>> {
    const command = commandOf(exchange, orderId);
    return this.change(exchange, (tx) => this.editCart.add(tx, command, [line]));
  }

  async changeItem(
    { orderId, productId }: { readonly orderId: string; readonly productId: string },
    { quantity, unitPrice }: ChangeItemDto,
    exchange: Exchange,
  ): Promise<Answer<OrderDto>> {
    const command = commandOf(exchange, orderId);
    return this.change(exchange, (tx) => this.editCart.change(tx, command, { productId, quantity, unitPrice }));
  }

  async removeItem(orderId: string, productId: string, exchange: Exchange): Promise<Answer<OrderDto>> {
    const command = commandOf(exchange, orderId);
    return this.change(exchange, (tx) => this.editCart.remove(tx, command, productId));
  }

  async place(orderId: string, { items = [] }: PlaceDraftDto, exchange: Exchange): Promise<Answer<OrderDto>> {
    const command = commandOf(exchange, orderId);
    return this.change(exchange, (tx) => this.placeOrder.draft(tx, command, items), exchange.caller.userId);
  }

  async cancel(orderId: string, reason: string, exchange: Exchange): Promise<Answer<OrderDto>> {
    const command = commandOf(exchange, orderId);
    return this.change(exchange, (tx) => this.cancelOrder.execute(tx, command, reason));
  }

  async finish(orderId: string, exchange: Exchange): Promise<Answer<OrderDto>> {
    const command = commandOf(exchange, orderId);
    return this.change(exchange, (tx) => this.finishOrder.execute(tx, command));
  }

  async find(orderId: string, caller: Caller): Promise<OrderDto> {
    logContext({ orderId });
    const order = await this.orders.find(orderId);
    if (!order || !isVisible(order, requesterOf(caller)))
      throw problemOf({ code: 'order-not-found', orderId }, orderProblems);
    return this.show(order);
  }

  /** Runs the work in a transaction, in its {@link UnitOfWork.run turn}. A rejection is thrown as its problem, which rolls it back. */
  private async change(
    { key, answer }: Opening,
    work: (tx: EntityManager) => Promise<OrderDecision>,
    turn?: string,
  ): Promise<Answer<OrderDto>> {
    const order = await this.unitOfWork.run(
      key,
      async (tx) => this.show(stateOrProblem(await work(tx), orderProblems)),
      ({ customerId }) => customerId,
      turn,
    );
    return tagged(order, answer);
  }

  /** Places a new order, together with those of concurrent requests. An order with a key is placed on its own. */
  private async placeAtOnce(exchange: Opening, placement: Placement): Promise<Answer<OrderDto>> {
    const { wanted, origin } = placement;
    const decision = exchange.key ? undefined : await this.placements.place(placement);
    if (decision) return tagged(this.show(stateOrProblem(decision, orderProblems)), exchange.answer);
    return this.change(exchange, (tx) => this.placeOrder.atOnce(tx, wanted, origin), wanted.customerId);
  }

  private show(order: Order): OrderDto {
    return orderDto(order, this.clock.now(), this.config.PAYMENT_LATE_AFTER);
  }
}

/** Includes lateness, because an order becomes late without a new version. */
export function etagOfOrder({ version, late }: Pick<OrderDto, 'version' | 'late'>): string {
  return etagOf(version, late ? 'late' : undefined);
}

function tagged(order: Answer<OrderDto>, answer: AnswerHeaders): Answer<OrderDto> {
  logContext({ orderId: order.id });
  answer.header('etag', etagOfOrder(order));
  return order;
}

function originOf({ caller, cause }: Opening): Origin {
  return { actor: actorOf(caller), cause };
}

export function requesterOf(caller: Caller): Requester {
  return { userId: caller.userId, isOperator: isOperator(caller) };
}

function commandOf(exchange: Exchange, orderId: string): OrderCommand {
  logContext({ orderId });
  const { caller, preconditions } = exchange;
  return { ...originOf(exchange), orderId, by: requesterOf(caller), precondition: preconditions.version };
}
