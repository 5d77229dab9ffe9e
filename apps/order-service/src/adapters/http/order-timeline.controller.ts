import { Controller, Get, Param } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems, Caller, isOperator, logContext, problemOf } from '@twinbox/api-kit';
import { OrderTimelineReader } from '../../application/order-timeline-reader.js';
import { orderProblems } from './order-problems.js';
import { stepSeenBy, TimelineDto } from './order-timeline.dto.js';
import { OrderParams } from './order.dto.js';

@ApiTags('orders')
@Controller('orders')
export class OrderTimelineController {
  constructor(private readonly timeline: OrderTimelineReader) {}

  @Get(':orderId/timeline')
  @ApiOperation({ summary: 'Everything that happened to an order: when, by whom, and why' })
  @ApiOkResponse({ type: TimelineDto })
  @ApiProblems(orderProblems, 'order-not-found')
  async get(@Param() { orderId }: OrderParams, @Caller() caller: Caller): Promise<TimelineDto> {
    logContext({ orderId });
    const customerId = await this.timeline.customerOf(orderId);
    if (!maySee(caller, customerId)) throw problemOf({ code: 'order-not-found', orderId }, orderProblems);
    const steps = await this.timeline.stepsOf(orderId);
    return { items: steps.map((step) => stepSeenBy(caller, step)) };
  }
}

/** Another customer's order looks like no order: its existence is nobody else's business. */
export function maySee(caller: Caller, customerId: string | undefined): boolean {
  return customerId !== undefined && (isOperator(caller) || customerId === caller.userId);
}
