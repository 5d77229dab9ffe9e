import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Caller, CursorCodec, isOperator } from '@twinbox/api-kit';
import { Clock, pageOf } from '@twinbox/kernel';
import { type OrderFilter, OrderList } from '../../application/order-list.js';
import { OrderServiceConfig } from '../../config.js';
import { PAYMENT_GRACE_MS } from '../../domain/lateness.js';
import { orderDto } from './order.dto.js';
import { OrderListQuery, OrderPageDto } from './order-list.dto.js';

@ApiTags('orders')
@Controller('orders')
export class OrderListController {
  private readonly cursors = new CursorCodec({ id: 'uuid', total: 'integer' });

  constructor(
    private readonly orders: OrderList,
    private readonly clock: Clock,
    private readonly config: OrderServiceConfig,
  ) {}

  @Get()
  @ApiOperation({
    summary: "Orders in pages: a customer's own, an operator's all",
    description:
      'Filters narrow each other. Every order that was there when paging began, and meets the filters throughout, is on exactly ' +
      'one page, whatever is placed, changed or cancelled meanwhile.',
  })
  @ApiOkResponse({ type: OrderPageDto })
  async list(@Query() query: OrderListQuery, @Caller() caller: Caller): Promise<OrderPageDto> {
    const { limit, sort, cursor, customerId, status, late, ...ranges } = query;
    const owner = isOperator(caller) ? customerId : caller.userId;
    if (customerId !== undefined && customerId !== owner) return { items: [], nextCursor: null };

    // The same list, however it is said: this is what a cursor belongs to.
    const statuses = status && [...new Set(status)].toSorted();
    const scope = { ...ranges, owner, statuses, late, sort };
    const after = this.cursors.decode(cursor, scope);
    const now = this.clock.now();
    const lateAfterMs = this.config.PAYMENT_LATE_AFTER;
    const filter: OrderFilter = {
      ...ranges,
      customerId: owner,
      statuses,
      late: late === undefined ? undefined : { isLate: late, ...overdue(now, lateAfterMs) },
    };
    // One more than a page has: it shows that there is another page.
    const found = await this.orders.read({ filter, sort, after, limit: limit + 1 });
    const page = pageOf(found, limit, (order) => this.cursors.encode(order, scope));
    return { ...page, items: page.items.map((order) => orderDto(order, now, lateAfterMs)) };
  }
}

function overdue(now: Date, lateAfterMs: number): { placedBefore: Date; pendingBefore: Date } {
  const before = (ms: number) => new Date(now.getTime() - ms);
  return { placedBefore: before(lateAfterMs), pendingBefore: before(PAYMENT_GRACE_MS) };
}
