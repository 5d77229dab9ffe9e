import { Controller } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { type Answer, Caller, Exchange, Fields, RequireRole } from '@twinbox/api-kit';
import { type GetOrderResponse, type GetOrderStatusResponse, type Order } from '@twinbox/contracts/grpc/orders';
import {
  CancelOrderDto,
  ChangeItemDto,
  NewOrderDto,
  OrderItemParams,
  OrderLineDto,
  PlaceDraftDto,
} from '../http/order-body.dto.js';
import { etagOfOrder, OrderRequests } from '../http/order-requests.js';
import { type OrderDto, OrderParams } from '../http/order.dto.js';
import { orderMessage, paymentMessage, statusMessage } from './order-messages.js';

const SERVICE = 'OrderService';

@Controller()
export class GrpcOrdersController {
  constructor(private readonly requests: OrderRequests) {}

  @GrpcMethod(SERVICE)
  async createOrder(@Fields(NewOrderDto) order: NewOrderDto, @Exchange() exchange: Exchange): Promise<Changed> {
    return changed(this.requests.open(order, exchange));
  }

  @GrpcMethod(SERVICE)
  async addItem(
    @Fields(OrderParams) { orderId }: OrderParams,
    @Fields(OrderLineDto) line: OrderLineDto,
    @Exchange() exchange: Exchange,
  ): Promise<Changed> {
    return changed(this.requests.addItem(orderId, line, exchange));
  }

  @GrpcMethod(SERVICE)
  async changeItem(
    @Fields(OrderItemParams) item: OrderItemParams,
    @Fields(ChangeItemDto) change: ChangeItemDto,
    @Exchange() exchange: Exchange,
  ): Promise<Changed> {
    return changed(this.requests.changeItem(item, change, withoutKey(exchange)));
  }

  @GrpcMethod(SERVICE)
  async removeItem(
    @Fields(OrderItemParams) { orderId, productId }: OrderItemParams,
    @Exchange() exchange: Exchange,
  ): Promise<Changed> {
    return changed(this.requests.removeItem(orderId, productId, withoutKey(exchange)));
  }

  @GrpcMethod(SERVICE)
  async placeOrder(
    @Fields(OrderParams) { orderId }: OrderParams,
    @Fields(PlaceDraftDto) draft: PlaceDraftDto,
    @Exchange() exchange: Exchange,
  ): Promise<Changed> {
    return changed(this.requests.place(orderId, draft, exchange));
  }

  @GrpcMethod(SERVICE)
  async cancelOrder(
    @Fields(OrderParams) { orderId }: OrderParams,
    @Fields(CancelOrderDto) { reason }: CancelOrderDto,
    @Exchange() exchange: Exchange,
  ): Promise<Changed> {
    return changed(this.requests.cancel(orderId, reason, exchange));
  }

  @GrpcMethod(SERVICE)
  @RequireRole('operator')
  async markOrderFinished(
    @Fields(OrderParams) { orderId }: OrderParams,
    @Exchange() exchange: Exchange,
  ): Promise<Changed> {
    return changed(this.requests.finish(orderId, exchange));
  }

  @GrpcMethod(SERVICE)
  async getOrder(
    @Fields(OrderParams) { orderId }: OrderParams,
    @Exchange() { caller, answer }: Exchange,
  ): Promise<GetOrderResponse> {
    const order = await this.requests.find(orderId, caller);
    answer.header('etag', etagOfOrder(order));
    return { order: orderMessage(order) };
  }

  @GrpcMethod(SERVICE)
  async getOrderStatus(
    @Fields(OrderParams) { orderId }: OrderParams,
    @Caller() caller: Caller,
  ): Promise<GetOrderStatusResponse> {
    const { status, payment, late, version } = await this.requests.find(orderId, caller);
    return { orderId, status: statusMessage(status), payment: paymentMessage(payment), late, version };
  }
}

interface Changed {
  readonly order: Order;
}

async function changed(order: Promise<Answer<OrderDto>>): Promise<Changed> {
  return { order: orderMessage(await order) };
}

/** As in REST, repeating the call has the same effect anyway. */
function withoutKey(exchange: Exchange): Exchange {
  return { ...exchange, key: undefined };
}
