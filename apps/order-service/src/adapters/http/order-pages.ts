import { Injectable } from '@nestjs/common';
import { type Caller, CursorCodec, isOperator, logContext } from '@twinbox/api-kit';
import { Clock, pageOf } from '@twinbox/kernel';
import { type OrderFilter, OrderList } from '../../application/order-list.js';
import { OrderTimeline } from '../../application/order-timeline.js';
import { OrderServiceConfig } from '../../config.js';
import { PAYMENT_GRACE_MS } from '../../domain/order.js';
import { type OrderListQuery, type OrderPageDto } from './order-list.dto.js';
import { stepSeenBy, type TimelinePageDto, type TimelineQuery } from './order-timeline.dto.js';
import { orderDto } from './order.dto.js';
import { VisibleOrders } from './visible-orders.js';

@Injectable()
export class OrderPages {
  private readonly cursors = new CursorCodec({ id: 'uuid', total: 'integer' });
  private readonly timelineCursors = new CursorCodec({ position: 'integer' });

  constructor(
    private readonly orders: OrderList,
    private readonly timeline: OrderTimeline,
    private readonly visible: VisibleOrders,
    private readonly clock: Clock,
    private readonly config: OrderServiceConfig,
  ) {}

  async list(query: OrderListQuery, caller: Caller): Promise<OrderPageDto> {
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

  async steps(orderId: string, { limit, cursor }: TimelineQuery, caller: Caller): Promise<TimelinePageDto> {
    logContext({ orderId });
    const scope = { orderId };
    const { position: after } = this.timelineCursors.decode(cursor, scope) ?? { position: 0 };
    await this.visible.check(orderId, caller);
    const steps = await this.timeline.read(orderId, after, limit + 1);
    const page = pageOf(steps, limit, ({ position }) => this.timelineCursors.encode({ position }, scope));
    return { ...page, items: page.items.map((step) => stepSeenBy(caller, step)) };
  }
}

function overdue(now: Date, lateAfterMs: number): { placedBefore: Date; pendingBefore: Date } {
  const before = (ms: number) => new Date(now.getTime() - ms);
  return { placedBefore: before(lateAfterMs), pendingBefore: before(PAYMENT_GRACE_MS) };
}
