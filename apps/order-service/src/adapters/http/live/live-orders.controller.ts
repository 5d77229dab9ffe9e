import { Controller, Get, Param, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import {
  AcceptsTicket,
  ApiEventStream,
  ApiProblems,
  Caller,
  LastEventId,
  logContext,
  OptionalCaller,
} from '@twinbox/api-kit';
import { type FastifyReply } from 'fastify';
import { orderProblems } from '../order-problems.js';
import { OrderEventDto } from '../order-timeline.dto.js';
import { OrderParams } from '../order.dto.js';
import { liveProblems } from './live-problems.js';
import { ordersSeenBy, OrderStreams } from './order-streams.js';
import { StreamTickets } from './stream-tickets.js';
import { StreamQuery } from './streams.dto.js';
import { VisibleOrders } from '../visible-orders.js';

const EXAMPLE = {
  id: '2t_c8f4',
  event: 'order',
  data: {
    orderId: '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d',
    position: 101,
    type: 'PaymentRequested',
    status: 'PAYMENT_PENDING',
    version: 2,
    at: '2026-11-21T09:30:00.120Z',
    actor: 'payment-service',
    cause: 'PaymentRequested',
    messageId: '01939d3c-2fc2-7d01-b1c2-3d4e5f6a7b8c',
    detail: null,
  },
};

const HOW =
  'Server-sent events. Each step of the timeline is sent as an `order` event within milliseconds of the commit, with the same ' +
  'fields plus `orderId`. The steps of an order arrive in order. After a resume, a step may arrive again: ignore a `position` ' +
  'that you already have. `version` cannot tell duplicates apart, because a step that does not change the order, such as ' +
  '`NotificationFailed`, has the version of the step before it. To resume without loss, send the last `id` as `Last-Event-ID`. ' +
  'An `id` without an event only advances the place to resume from. With a ticket, the stream may also send `expired` (ask for a new ' +
  'ticket), `reset` (load your data again) and `unavailable` (the client tries again by itself), each with a problem document.';

const STREAM_PROBLEMS = [
  'event-unknown',
  'too-many-streams',
  'backlog-too-long',
  'too-much-to-catch-up',
  'service-stopping',
] as const;

@ApiTags('orders')
@Controller('orders')
export class LiveOrdersController {
  constructor(
    private readonly streams: OrderStreams,
    private readonly tickets: StreamTickets,
    private readonly orders: VisibleOrders,
  ) {}

  @Get('events')
  @AcceptsTicket()
  @ApiOperation({
    operationId: 'watchOrders',
    summary: 'Stream changes of orders: customers get their own, operators get all',
    description: HOW,
  })
  @ApiEventStream('Changes from now on, or since the event in Last-Event-ID.', EXAMPLE, OrderEventDto)
  @ApiProblems(liveProblems, ...STREAM_PROBLEMS)
  async ofMany(
    @Query() query: StreamQuery,
    @OptionalCaller() caller: Caller | undefined,
    @LastEventId() lastEventId: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const admission = await this.tickets.admit({ request: reply.request, caller, lastEventId, query }, null);
    await this.streams.openEvents(ordersSeenBy(admission.caller), admission, reply);
  }

  @Get(':orderId/events')
  @AcceptsTicket()
  @ApiOperation({ operationId: 'watchOrder', summary: 'Stream changes of an order', description: HOW })
  @ApiEventStream(
    'The newest step and all later changes, or all changes since the event in Last-Event-ID.',
    EXAMPLE,
    OrderEventDto,
  )
  @ApiProblems({ ...orderProblems, ...liveProblems }, 'order-not-found', ...STREAM_PROBLEMS)
  async ofOne(
    @Param() { orderId }: OrderParams,
    @Query() query: StreamQuery,
    @OptionalCaller() caller: Caller | undefined,
    @LastEventId() lastEventId: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    logContext({ orderId });
    const admission = await this.tickets.admit({ request: reply.request, caller, lastEventId, query }, orderId);
    await this.orders.check(orderId, admission.caller);
    await this.streams.openEvents({ orderId }, admission, reply);
  }
}
