import { Body, Controller, Get, HttpCode, Param, Post, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import {
  type Answer,
  ApiProblems,
  Caller,
  Cause,
  conditionalResponse,
  etagHeader,
  IdempotencyKey,
  NoBody,
  Preconditions,
  RequireRole,
  storedAnswerProblems,
} from '@twinbox/api-kit';
import { type FastifyReply } from 'fastify';
import { etagOfOrder, OrderRequests } from './order-requests.js';
import { CancelOrderDto, NewOrderDto, PlaceDraftDto } from './order-body.dto.js';
import { orderProblems } from './order-problems.js';
import { OrderDto, OrderParams } from './order.dto.js';

@ApiTags('orders')
@Controller('orders')
export class OrdersController {
  constructor(private readonly requests: OrderRequests) {}

  @Post()
  @ApiOperation({ operationId: 'createOrder', summary: "Place an order at the catalogue's prices, or open a cart" })
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
    @Body() body: NewOrderDto,
    @Caller() caller: Caller,
    @Cause() cause: string,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<OrderDto>> {
    const order = await this.requests.open(body, { caller, cause, key, answer: reply });
    reply.header('location', `/orders/${order.id}`);
    return order;
  }

  @Get(':orderId')
  @ApiOperation({ operationId: 'getOrder', summary: 'Get an order, with its payment as last reported' })
  @ApiOkResponse({ type: OrderDto })
  @ApiProblems(orderProblems, 'order-not-found')
  async get(
    @Param() { orderId }: OrderParams,
    @Caller() caller: Caller,
    @Preconditions() preconditions: Preconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<OrderDto | undefined> {
    const order = await this.requests.find(orderId, caller);
    // A late order has no Last-Modified, because it became late without changing `updatedAt`.
    const modifiedAt = order.late ? undefined : order.updatedAt;
    return conditionalResponse(reply, preconditions, etagOfOrder(order), order, modifiedAt);
  }

  @Post(':orderId/place')
  @HttpCode(200)
  @ApiOperation({ operationId: 'placeOrder', summary: "Place a cart at the catalogue's current prices" })
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
    @Body() body: PlaceDraftDto,
    @Caller() caller: Caller,
    @Cause() cause: string,
    @Preconditions() preconditions: Preconditions,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<OrderDto>> {
    return this.requests.place(orderId, body, { caller, cause, preconditions, key, answer: reply });
  }

  @Post(':orderId/cancel')
  @HttpCode(200)
  @ApiOperation({ operationId: 'cancelOrder', summary: 'Cancel an unpaid order, or discard a cart' })
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
    return this.requests.cancel(orderId, reason, { caller, cause, preconditions, key, answer: reply });
  }

  @Post(':orderId/finish')
  @HttpCode(200)
  @RequireRole('operator')
  @NoBody()
  @ApiOperation({ operationId: 'markOrderFinished', summary: 'Mark a paid order as finished' })
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
    return this.requests.finish(orderId, { caller, cause, preconditions, key, answer: reply });
  }
}
