import { Controller } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { Caller, Fields, logContext, ProblemException, Responses, type ResponseStream } from '@twinbox/api-kit';
import {
  type WatchOrderRequest,
  type WatchOrdersRequest,
  type WatchOrdersResponse,
} from '@twinbox/contracts/grpc/orders';
import { type Observable } from 'rxjs';
import { ordersSeenBy, OrderStreams } from '../http/live/order-streams.js';
import { type LiveClient } from '../http/live/stream-listener.js';
import { StreamQuery } from '../http/live/streams.dto.js';
import { OrderParams } from '../http/order.dto.js';
import { VisibleOrders } from '../http/visible-orders.js';
import { eventMessage } from './order-messages.js';

const resume = ({ resumeAfter }: WatchOrderRequest | WatchOrdersRequest) => ({ lastEventId: resumeAfter });

const RESUME = { lastEventId: 'resume_after' };

@Controller()
export class GrpcLiveOrdersController {
  constructor(
    private readonly streams: OrderStreams,
    private readonly orders: VisibleOrders,
  ) {}

  @GrpcMethod('OrderService')
  async watchOrder(
    @Fields(OrderParams) { orderId }: OrderParams,
    @Fields(StreamQuery, resume, RESUME) { lastEventId }: StreamQuery,
    @Caller() caller: Caller,
    @Responses() stream: ResponseStream<WatchOrdersResponse>,
  ): Promise<Observable<never>> {
    logContext({ orderId });
    await this.orders.check(orderId, caller);
    await this.streams.open({ orderId }, { caller, lastEventId, ticket: undefined }, () => clientOf(stream));
    return stream.ended;
  }

  @GrpcMethod('OrderService')
  async watchOrders(
    @Fields(StreamQuery, resume, RESUME) { lastEventId }: StreamQuery,
    @Caller() caller: Caller,
    @Responses() stream: ResponseStream<WatchOrdersResponse>,
  ): Promise<Observable<never>> {
    const admission = { caller, lastEventId, ticket: undefined };
    await this.streams.open(ordersSeenBy(caller), admission, () => clientOf(stream));
    return stream.ended;
  }
}

const INTERRUPTED = {
  code: 'stream-interrupted',
  status: 503,
  title: 'The stream was interrupted.',
  detail: 'Resume it after the last event.',
};

function clientOf(stream: ResponseStream<WatchOrdersResponse>): LiveClient {
  return {
    send: (eventId, event) => stream.send({ eventId, event: event && eventMessage(event) }),
    drained: () => stream.drained(),
    // Only the caller ends a stream of changes.
    close: () => stream.fail(new ProblemException(INTERRUPTED)),
    onClose: (listener) => stream.onClose(listener),
    get closed(): boolean {
      return stream.closed;
    },
  };
}
