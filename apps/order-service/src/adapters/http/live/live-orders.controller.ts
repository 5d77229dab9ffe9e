import { Controller, Get, Logger, Param, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import {
  ApiEventStream,
  ApiProblems,
  Caller,
  isOperator,
  LastEventId,
  logContext,
  openEventStream,
  problemOf,
} from '@twinbox/api-kit';
import { type FastifyReply } from 'fastify';
import { Delivery } from '../../../application/live/delivery.js';
import { FeedClosed } from '../../../application/live/ports.js';
import { type WatchedOrders } from '../../../application/live/resume-point.js';
import { isVisible } from '../../../application/order-journal.js';
import { OrderTimeline } from '../../../application/order-timeline.js';
import { orderProblems } from '../order-problems.js';
import { requesterOf } from '../order-requests.js';
import { OrderEventDto } from '../order-timeline.dto.js';
import { OrderParams } from '../order.dto.js';
import { resumePointOf } from './event-id.js';
import { liveProblems } from './live-problems.js';
import { listenerOn } from './stream-listener.js';

/** Per user and replica. A browser opens at most six connections to a host. */
const MAX_STREAMS = 20;

const EXAMPLE = `id: 2s_c8f1

id: 2t_c8f4
event: order
data: {"orderId":"01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d","position":101,"type":"PaymentRequested","status":"PAYMENT_PENDING","version":2,\
"at":"2026-11-21T09:30:00.120Z","actor":"payment-service","cause":"PaymentRequested",\
"messageId":"01939d3c-2fc2-7d01-b1c2-3d4e5f6a7b8c","detail":null}

`;

// The operation ids are those of the first release, which clients may use.
const HOW =
  'Server-sent events. Each step of the timeline is sent as an `order` event within milliseconds of the commit, with the same ' +
  'fields plus `orderId`. The steps of an order arrive in order. After a resume, a step may arrive again: ignore a `position` ' +
  'that you already have. `version` cannot tell duplicates apart, because a step that does not change the order, such as ' +
  '`NotificationFailed`, has the version of the step before it. To resume without loss, send the last `id` as `Last-Event-ID`. ' +
  'An `id` without an event only advances the place to resume from.';

@ApiTags('orders')
@Controller('orders')
export class LiveOrdersController {
  private readonly logger = new Logger('OrderEvents');
  private readonly streams = new Map<string, number>();

  constructor(
    private readonly delivery: Delivery,
    private readonly timeline: OrderTimeline,
  ) {}

  @Get('events')
  @ApiOperation({
    operationId: 'OrderEventsController_ofMany',
    summary: 'Stream changes of orders: customers get their own, operators get all',
    description: HOW,
  })
  @ApiEventStream('Changes from now on, or since the event in Last-Event-ID.', EXAMPLE, OrderEventDto)
  @ApiProblems(liveProblems, 'event-unknown', 'too-many-streams', 'service-stopping')
  async ofMany(
    @Caller() caller: Caller,
    @LastEventId() lastEventId: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const watched = isOperator(caller) ? ({ all: true } as const) : { customerId: caller.userId };
    await this.open(watched, caller, lastEventId, reply);
  }

  @Get(':orderId/events')
  @ApiOperation({ operationId: 'OrderEventsController_ofOne', summary: 'Stream changes of an order', description: HOW })
  @ApiEventStream(
    'The newest step and all later changes, or all changes since the event in Last-Event-ID.',
    EXAMPLE,
    OrderEventDto,
  )
  @ApiProblems(
    { ...orderProblems, ...liveProblems },
    'order-not-found',
    'event-unknown',
    'too-many-streams',
    'service-stopping',
  )
  async ofOne(
    @Param() { orderId }: OrderParams,
    @Caller() caller: Caller,
    @LastEventId() lastEventId: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    logContext({ orderId });
    const owner = await this.timeline.ownerOf(orderId);
    if (!isVisible(owner, requesterOf(caller))) throw problemOf({ code: 'order-not-found', orderId }, orderProblems);
    await this.open({ orderId }, caller, lastEventId, reply);
  }

  private async open(
    watched: WatchedOrders,
    caller: Caller,
    lastEventId: string | undefined,
    reply: FastifyReply,
  ): Promise<void> {
    const since = lastEventId === undefined ? undefined : resumePointOf(lastEventId);
    const unknown = problemOf({ code: 'event-unknown' }, liveProblems);
    if (lastEventId !== undefined && !since) throw unknown;
    const leave = this.enter(caller.userId);
    try {
      const subscriber = await this.delivery.join(watched, since);
      if (!subscriber) throw unknown;
      const stream = openEventStream(reply);
      stream.onClose(() => {
        leave();
        subscriber.end();
      });
      this.delivery.serve(subscriber, listenerOn(stream, caller)).catch((error: unknown) => {
        this.logger.error({ err: error }, 'A stream of events ended because of an unexpected error.');
        stream.close();
      });
    } catch (error) {
      leave();
      throw error instanceof FeedClosed ? problemOf({ code: 'service-stopping' }, liveProblems) : error;
    }
  }

  /** Counts a stream. The function it returns must be called at least once when the stream has ended. */
  private enter(userId: string): () => void {
    const streams = this.streams.get(userId) ?? 0;
    if (streams >= MAX_STREAMS) throw problemOf({ code: 'too-many-streams', most: MAX_STREAMS }, liveProblems);
    this.streams.set(userId, streams + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const others = (this.streams.get(userId) ?? 1) - 1;
      if (others > 0) this.streams.set(userId, others);
      else this.streams.delete(userId);
    };
  }
}
