import { Body, Controller, Get, HttpCode, Param, Post, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import {
  type Answer,
  ApiProblems,
  Caller,
  Cause,
  etagHeader,
  IdempotencyKey,
  logContext,
  NoBody,
  Preconditions,
  problemOf,
  RequireRole,
  storedAnswerProblems,
} from '@twinbox/api-kit';
import { type FastifyReply } from 'fastify';
import { CancelOrder } from '../../application/cancel-order.js';
import { EditCart } from '../../application/edit-cart.js';
import { FinishOrder } from '../../application/finish-order.js';
import { isVisible } from '../../application/order-journal.js';
import { OrderStore } from '../../application/order-store.js';
import { PlaceOrder } from '../../application/place-order.js';
import { commandOf, OrderRequests, originOf, requesterOf } from './order-requests.js';
import { CancelOrderDto, NewOrderDto, PlaceDraftDto } from './order-body.dto.js';
import { orderProblems } from './order-problems.js';
import { OrderDto, OrderParams } from './order.dto.js';

@ApiTags('orders')
@Controller('orders')
export class OrdersController {
  constructor(
    private readonly requests: OrderRequests,
    private readonly placeOrder: PlaceOrder,
    private readonly editCart: EditCart,
    private readonly cancelOrder: CancelOrder,
    private readonly finishOrder: FinishOrder,
    private readonly orders: OrderStore,
  ) {}

  @Post()
  @ApiOperation({ summary: "Place an order at the catalogue's prices, or open a cart" })
  @ApiCreatedResponse({
    type: OrderDto,
    headers: { ETag: etagHeader, Location: { description: 'The path of the order.', schema: { type: 'string' } } },
  })
  @ApiProblems(
    orderProblems,
    'product-unknown',
    'mixed-currencies',
    'price-changed',
    'insufficient-stock',
    'order-total-too-large',
    'too-many-drafts',
    'too-many-unpaid-orders',
    'too-many-pieces-held',
    'too-large-share-held',
  )
  async open(
    @Body() { draft, items = [], description }: NewOrderDto,
    @Caller() caller: Caller,
    @Cause() cause: string,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<OrderDto>> {
    const wanted = { customerId: caller.userId, description: description ?? null, lines: items };
    const origin = originOf(caller, cause);
    const order = await (draft
      ? this.requests.change(key, reply, (tx) => this.editCart.open(tx, wanted, origin), caller.userId)
      : this.requests.place(key, reply, { wanted, origin }));
    reply.header('location', `/orders/${order.id}`);
    return order;
  }

  @Get(':orderId')
  @ApiOperation({ summary: 'Get an order, with its payment as last reported' })
  @ApiOkResponse({ type: OrderDto })
  @ApiProblems(orderProblems, 'order-not-found')
  async get(
    @Param() { orderId }: OrderParams,
    @Caller() caller: Caller,
    @Preconditions() preconditions: Preconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<OrderDto | undefined> {
    logContext({ orderId });
    const order = await this.orders.find(orderId);
    if (!order || !isVisible(order, requesterOf(caller)))
      throw problemOf({ code: 'order-not-found', orderId }, orderProblems);
    return this.requests.read(order, preconditions, reply);
  }

  @Post(':orderId/place')
  @HttpCode(200)
  @ApiOperation({ summary: "Place a cart at the catalogue's current prices" })
  @ApiOkResponse({ type: OrderDto })
  @ApiProblems(
    orderProblems,
    'order-not-found',
    'order-not-yours',
    'version-conflict',
    'order-wrong-status',
    'order-empty',
    'item-not-found',
    'mixed-currencies',
    'price-changed',
    'insufficient-stock',
    'order-total-too-large',
    'too-many-unpaid-orders',
    'too-many-pieces-held',
    'too-large-share-held',
  )
  async place(
    @Param() { orderId }: OrderParams,
    @Body() { items = [] }: PlaceDraftDto,
    @Caller() caller: Caller,
    @Cause() cause: string,
    @Preconditions() preconditions: Preconditions,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<OrderDto>> {
    const command = commandOf(caller, cause, orderId, preconditions);
    return this.requests.change(key, reply, (tx) => this.placeOrder.draft(tx, command, items), caller.userId);
  }

  @Post(':orderId/cancel')
  @HttpCode(200)
  @ApiOperation({ summary: 'Cancel an unpaid order, or discard a cart' })
  @ApiOkResponse({ type: OrderDto })
  @ApiProblems(
    { ...orderProblems, ...storedAnswerProblems },
    'order-not-found',
    'version-conflict',
    'order-wrong-status',
    'role-required',
  )
  async cancel(
    @Param() { orderId }: OrderParams,
    @Body() { reason }: CancelOrderDto,
    @Caller() caller: Caller,
    @Cause() cause: string,
    @Preconditions() preconditions: Preconditions,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<OrderDto>> {
    const command = commandOf(caller, cause, orderId, preconditions);
    return this.requests.change(key, reply, (tx) => this.cancelOrder.execute(tx, command, reason));
  }

  @Post(':orderId/finish')
  @HttpCode(200)
  @RequireRole('operator')
  @NoBody()
  @ApiOperation({ summary: 'Mark a paid order as finished' })
  @ApiOkResponse({ type: OrderDto })
  @ApiProblems(orderProblems, 'order-not-found', 'version-conflict', 'order-wrong-status')
  async finish(
    @Param() { orderId }: OrderParams,
    @Caller() caller: Caller,
    @Cause() cause: string,
    @Preconditions() preconditions: Preconditions,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<OrderDto>> {
    const command = commandOf(caller, cause, orderId, preconditions);
    return this.requests.change(key, reply, (tx) => this.finishOrder.execute(tx, command));
  }
}
