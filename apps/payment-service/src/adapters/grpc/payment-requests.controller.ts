import { Controller } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { type Answer, Caller, Exchange, Fields, pageQuery, QueryFields, RequireRole } from '@twinbox/api-kit';
import {
  type GetTimelineResponse,
  type ListPaymentRequestsResponse,
  type PaymentRequest,
} from '@twinbox/contracts/grpc/payments';
import { PaymentRequestListQuery } from '../http/payment-request-list.dto.js';
import {
  asSeenBy,
  etagSeenBy,
  FailPaymentDto,
  type PaymentRequestDto,
  PaymentRequestParams,
} from '../http/payment-request.dto.js';
import { PaymentRequests } from '../http/payment-requests.js';
import { PaymentTimelineQuery } from '../http/payment-timeline.dto.js';
import { listQuery, requestMessage, stepMessage } from './payment-messages.js';

const SERVICE = 'PaymentRequestService';

/** `twinbox.payments.v1.PaymentRequestService`. */
@Controller()
export class GrpcPaymentRequestsController {
  constructor(private readonly requests: PaymentRequests) {}

  @GrpcMethod(SERVICE)
  async getPaymentRequest(
    @Fields(PaymentRequestParams) { paymentRequestId }: PaymentRequestParams,
    @Exchange() { caller, answer }: Exchange,
  ): Promise<OneRequest> {
    const request = await this.requests.find(paymentRequestId, caller);
    answer.header('etag', etagSeenBy(caller, request));
    return { paymentRequest: requestMessage(asSeenBy(caller, request)) };
  }

  @GrpcMethod(SERVICE)
  async listPaymentRequests(
    @QueryFields(PaymentRequestListQuery, listQuery, { status: 'statuses' }) query: PaymentRequestListQuery,
    @Caller() caller: Caller,
  ): Promise<ListPaymentRequestsResponse> {
    const { items, nextCursor } = await this.requests.list(query, caller);
    return { paymentRequests: items.map(requestMessage), nextPageToken: nextCursor ?? '' };
  }

  @GrpcMethod(SERVICE)
  @RequireRole('operator')
  async markPaymentSucceeded(
    @Fields(PaymentRequestParams) { paymentRequestId }: PaymentRequestParams,
    @Exchange() exchange: Exchange,
  ): Promise<OneRequest> {
    return changed(this.requests.decide(paymentRequestId, { status: 'SUCCEEDED' }, exchange));
  }

  @GrpcMethod(SERVICE)
  @RequireRole('operator')
  async markPaymentFailed(
    @Fields(PaymentRequestParams) { paymentRequestId }: PaymentRequestParams,
    @Fields(FailPaymentDto) { reason }: FailPaymentDto,
    @Exchange() exchange: Exchange,
  ): Promise<OneRequest> {
    return changed(this.requests.decide(paymentRequestId, { status: 'FAILED', reason }, exchange));
  }

  @GrpcMethod(SERVICE)
  @RequireRole('operator')
  async markPaymentRefunded(
    @Fields(PaymentRequestParams) { paymentRequestId }: PaymentRequestParams,
    @Exchange() exchange: Exchange,
  ): Promise<OneRequest> {
    return changed(this.requests.confirmRefunded(paymentRequestId, exchange));
  }

  @GrpcMethod(SERVICE)
  async getTimeline(
    @Fields(PaymentRequestParams) { paymentRequestId }: PaymentRequestParams,
    @QueryFields(PaymentTimelineQuery, pageQuery) query: PaymentTimelineQuery,
    @Caller() caller: Caller,
  ): Promise<GetTimelineResponse> {
    const { items, nextCursor } = await this.requests.steps(paymentRequestId, query, caller);
    return { steps: items.map(stepMessage), nextPageToken: nextCursor ?? '' };
  }
}

/** The response of every method for a single payment request. */
interface OneRequest {
  readonly paymentRequest: PaymentRequest;
}

async function changed(request: Promise<Answer<PaymentRequestDto>>): Promise<OneRequest> {
  return { paymentRequest: requestMessage(await request) };
}
