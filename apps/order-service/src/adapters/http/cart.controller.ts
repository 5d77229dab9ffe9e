import { Body, Controller, Delete, HttpCode, Param, Patch, Post, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { type Answer, ApiProblems, Caller, Cause, IdempotencyKey, Preconditions } from '@twinbox/api-kit';
import { type FastifyReply } from 'fastify';
import { OrderRequests } from './order-requests.js';
import { ChangeItemDto, OrderItemParams, OrderLineDto } from './order-body.dto.js';
import { orderProblems } from './order-problems.js';
import { OrderDto, OrderParams } from './order.dto.js';

@ApiTags('carts')
@Controller('orders/:orderId/items')
export class CartController {
  constructor(private readonly requests: OrderRequests) {}

  @Post()
  @HttpCode(200)
  @ApiOperation({ operationId: 'addItem', summary: 'Add a quantity of a product to a cart' })
  @ApiOkResponse({ type: OrderDto })
  @ApiProblems(
    orderProblems,
    'order-not-found',
    'order-not-yours',
    'version-conflict',
    'order-wrong-status',
    'product-unknown',
    'price-changed',
    'mixed-currencies',
    'too-many-products',
    'quantity-too-large',
    'order-total-too-large',
  )
  async add(
    @Param() { orderId }: OrderParams,
    @Body() line: OrderLineDto,
    @Caller() caller: Caller,
    @Cause() cause: string,
    @Preconditions() preconditions: Preconditions,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<OrderDto>> {
    return this.requests.addItem(orderId, line, { caller, cause, preconditions, key, answer: reply });
  }

  @Patch(':productId')
  @ApiOperation({ operationId: 'changeItem', summary: 'Change the quantity of a product in a cart' })
  @ApiOkResponse({ type: OrderDto })
  @ApiProblems(
    orderProblems,
    'order-not-found',
    'item-not-found',
    'order-not-yours',
    'version-conflict',
    'order-wrong-status',
    'price-changed',
    'mixed-currencies',
    'order-total-too-large',
  )
  async change(
    @Param() params: OrderItemParams,
    @Body() body: ChangeItemDto,
    @Caller() caller: Caller,
    @Cause() cause: string,
    @Preconditions() preconditions: Preconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<OrderDto>> {
    const exchange = { caller, cause, preconditions, key: undefined, answer: reply };
    return this.requests.changeItem(params, body, exchange);
  }

  @Delete(':productId')
  @ApiOperation({ operationId: 'removeItem', summary: 'Remove a product from a cart' })
  @ApiOkResponse({ type: OrderDto })
  @ApiProblems(
    orderProblems,
    'order-not-found',
    'item-not-found',
    'order-not-yours',
    'version-conflict',
    'order-wrong-status',
  )
  async remove(
    @Param() { orderId, productId }: OrderItemParams,
    @Caller() caller: Caller,
    @Cause() cause: string,
    @Preconditions() preconditions: Preconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<OrderDto>> {
    const exchange = { caller, cause, preconditions, key: undefined, answer: reply };
    return this.requests.removeItem(orderId, productId, exchange);
  }
}
