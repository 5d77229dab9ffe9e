import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems, Caller } from '@twinbox/api-kit';
import { OrderPages } from './order-pages.js';
import { orderProblems } from './order-problems.js';
import { TimelinePageDto, TimelineQuery } from './order-timeline.dto.js';
import { OrderParams } from './order.dto.js';

@ApiTags('orders')
@Controller('orders')
export class OrderTimelineController {
  constructor(private readonly pages: OrderPages) {}

  @Get(':orderId/timeline')
  @ApiOperation({
    operationId: 'getTimeline',
    summary: 'List everything that happened to an order: what, when, by whom and why',
  })
  @ApiOkResponse({ type: TimelinePageDto })
  @ApiProblems(orderProblems, 'order-not-found')
  async get(
    @Param() { orderId }: OrderParams,
    @Query() query: TimelineQuery,
    @Caller() caller: Caller,
  ): Promise<TimelinePageDto> {
    return this.pages.steps(orderId, query, caller);
  }
}
