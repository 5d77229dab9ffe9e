import { Body, Controller, Get, Param, Post, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems, Caller, logContext, problemOf, stateOrProblem } from '@twinbox/api-kit';
import { type FastifyReply } from 'fastify';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { OrderStore } from '../../application/order-store.js';
import { PlaceOrder } from '../../application/place-order.js';
import { orderProblems } from './order-problems.js';
import { OrderDto, OrderPageDto, OrderPageQuery, OrderParams, PlaceOrderDto } from './order.dto.js';

@ApiTags('orders')
@Controller('orders')
export class OrdersController {
  constructor(
    private readonly dataSource: DataSource,
    private readonly placeOrder: PlaceOrder,
    private readonly orders: OrderStore,
  ) {}

  @Post()
  @ApiOperation({ summary: "Place an order, at the catalogue's prices" })
  @ApiCreatedResponse({
    type: OrderDto,
    headers: { Location: { description: 'The path of the order.', schema: { type: 'string' } } },
  })
  @ApiProblems(orderProblems, 'order-empty', 'product-unknown', 'mixed-currencies', 'order-total-too-large')
  async place(
    @Body() { items, description }: PlaceOrderDto,
    @Caller() { userId: customerId }: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<OrderDto> {
    const orderId = uuidv7();
    logContext({ orderId });
    const cart = { orderId, customerId, description: description ?? null, lines: items };
    const decision = await this.dataSource.transaction((tx) => this.placeOrder.execute(tx, cart));
    const order = stateOrProblem(decision, orderProblems);
    reply.header('location', `/orders/${order.id}`);
    return order;
  }

  @Get(':orderId')
  @ApiOperation({ summary: 'One order, with its payment as last heard' })
  @ApiOkResponse({ type: OrderDto })
  @ApiProblems(orderProblems, 'order-not-found')
  async get(@Param() { orderId }: OrderParams, @Caller() { userId }: Caller): Promise<OrderDto> {
    logContext({ orderId });
    const order = await this.orders.find(orderId);
    // Another customer's order looks like no order: its existence is nobody else's business.
    if (order?.customerId !== userId) throw problemOf({ code: 'order-not-found', orderId }, orderProblems);
    return order;
  }

  @Get()
  @ApiOperation({ summary: "The caller's own orders, newest first" })
  @ApiOkResponse({ type: OrderPageDto })
  async list(@Query() { limit, cursor }: OrderPageQuery, @Caller() { userId }: Caller): Promise<OrderPageDto> {
    return this.orders.listOf(userId, { limit, cursor });
  }
}
