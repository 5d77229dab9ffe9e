import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Caller, CursorCodec, isOperator } from '@twinbox/api-kit';
import { Clock, pageOf } from '@twinbox/kernel';
import { type OrderFilter, OrderList } from '../../application/order-list.js';
import { OrderServiceConfig } from '../../config.js';
import { PAYMENT_GRACE_MS } from '../../domain/order.js';
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
    summary: 'List orders page by page: customers get their own, operators get all',
    description:
      'An order must match all filters. Every order that exists when paging begins and matches throughout appears on exactly ' +
      'one page, even if orders are placed, changed or cancelled meanwhile.',
  })
  @ApiOkResponse({ type: OrderPageDto })
  async list(@Query() query: OrderListQuery, @Caller() caller: Caller): Promise<OrderPageDto> {
    const { limit, sort, cursor, customerId, status, late, ...ranges } = query;
    const owner = isOperator(caller) ? customerId : caller.userId;
    if (customerId !== undefined && customerId !== owner) return { items: [], nextCursor: null };

    // Normalised, so that a cursor stays valid for an equivalent query.
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
    const found = await this.orders.list({ filter, sort, after, limit: limit + 1 });
    const page = pageOf(found, limit, (order) => this.cursors.encode(order, scope));
    return { ...page, items: page.items.map((order) => orderDto(order, now, lateAfterMs)) };
  }
}

function overdue(now: Date, lateAfterMs: number): { placedBefore: Date; pendingBefore: Date } {
  const before = (ms: number) => new Date(now.getTime() - ms);
  return { placedBefore: before(lateAfterMs), pendingBefore: before(PAYMENT_GRACE_MS) };
}
