import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems, Caller, CursorCodec, logContext } from '@twinbox/api-kit';
import { pageOf } from '@twinbox/kernel';
import { OrderTimeline } from '../../application/order-timeline.js';
import { VisibleOrders } from './visible-orders.js';
import { orderProblems } from './order-problems.js';
import { stepSeenBy, TimelinePageDto, TimelineQuery } from './order-timeline.dto.js';
import { OrderParams } from './order.dto.js';

@ApiTags('orders')
@Controller('orders')
export class OrderTimelineController {
  private readonly cursors = new CursorCodec({ position: 'integer' });

  constructor(
    private readonly timeline: OrderTimeline,
    private readonly orders: VisibleOrders,
  ) {}

  @Get(':orderId/timeline')
  @ApiOperation({ summary: 'List everything that happened to an order: what, when, by whom and why' })
  @ApiOkResponse({ type: TimelinePageDto })
  @ApiProblems(orderProblems, 'order-not-found')
  async get(
    @Param() { orderId }: OrderParams,
    @Query() { limit, cursor }: TimelineQuery,
    @Caller() caller: Caller,
  ): Promise<TimelinePageDto> {
    logContext({ orderId });
    const scope = { orderId };
    const { position: after } = this.cursors.decode(cursor, scope) ?? { position: 0 };
    await this.orders.check(orderId, caller);
    const steps = await this.timeline.read(orderId, after, limit + 1);
    const page = pageOf(steps, limit, ({ position }) => this.cursors.encode({ position }, scope));
    return { ...page, items: page.items.map((step) => stepSeenBy(caller, step)) };
  }
}
