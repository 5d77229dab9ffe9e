import { Controller, Get, Query, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Caller, conditionalPage, PagePreconditions } from '@twinbox/api-kit';
import { type FastifyReply } from 'fastify';
import { OrderListQuery, OrderPageDto } from './order-list.dto.js';
import { OrderPages } from './order-pages.js';

@ApiTags('orders')
@Controller('orders')
export class OrderListController {
  constructor(private readonly pages: OrderPages) {}

  @Get()
  @ApiOperation({
    operationId: 'getOrders',
    summary: 'List orders page by page: customers get their own, operators get all',
    description:
      'An order must match all filters. Every order that exists when paging begins and matches throughout appears on exactly ' +
      'one page, even if orders are placed, changed or cancelled meanwhile.',
  })
  @ApiOkResponse({ type: OrderPageDto })
  async list(
    @Query() query: OrderListQuery,
    @Caller() caller: Caller,
    @PagePreconditions() preconditions: PagePreconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<OrderPageDto | undefined> {
    return conditionalPage(reply, preconditions, await this.pages.list(query, caller));
  }
}
