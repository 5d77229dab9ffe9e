import { Controller } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { Caller, Fields, pageQuery, QueryFields } from '@twinbox/api-kit';
import { type GetOrdersResponse, type GetTimelineResponse } from '@twinbox/contracts/grpc/orders';
import { OrderListQuery } from '../http/order-list.dto.js';
import { OrderPages } from '../http/order-pages.js';
import { TimelineQuery } from '../http/order-timeline.dto.js';
import { OrderParams } from '../http/order.dto.js';
import { listQuery, orderMessage, stepMessage } from './order-messages.js';

@Controller()
export class GrpcOrderPagesController {
  constructor(private readonly pages: OrderPages) {}

  @GrpcMethod('OrderService')
  async getOrders(
    @QueryFields(OrderListQuery, listQuery, { status: 'statuses' }) query: OrderListQuery,
    @Caller() caller: Caller,
  ): Promise<GetOrdersResponse> {
    const { items, nextCursor } = await this.pages.list(query, caller);
    return { orders: items.map(orderMessage), nextPageToken: nextCursor ?? '' };
  }

  @GrpcMethod('OrderService')
  async getTimeline(
    @Fields(OrderParams) { orderId }: OrderParams,
    @QueryFields(TimelineQuery, pageQuery) query: TimelineQuery,
    @Caller() caller: Caller,
  ): Promise<GetTimelineResponse> {
    const { items, nextCursor } = await this.pages.steps(orderId, query, caller);
    return { steps: items.map(stepMessage), nextPageToken: nextCursor ?? '' };
  }
}
