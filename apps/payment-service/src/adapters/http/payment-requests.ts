import { Injectable } from '@nestjs/common';
import {
  actorOf,
  type Answer,
  type Caller,
  CursorCodec,
  etagOf,
  type Exchange,
  isOperator,
  logContext,
  problemOf,
  stateOrProblem,
  UnitOfWork,
} from '@twinbox/api-kit';
import { pageOf } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { ConfirmRefund } from '../../application/confirm-refund.js';
import { DecidePayment } from '../../application/decide-payment.js';
import { PaymentRequestList } from '../../application/payment-request-list.js';
import { PaymentRequestStore } from '../../application/payment-request-store.js';
import { PaymentTimeline } from '../../application/payment-timeline.js';
import { type PaymentDecision, type PaymentRequest, type PaymentResult } from '../../domain/payment-request.js';
import { paymentProblems } from './payment-problems.js';
import {
  listingOf,
  pageOfListing,
  type PaymentRequestListQuery,
  type PaymentRequestPageDto,
} from './payment-request-list.dto.js';
import { asSeenBy, type PaymentRequestDto } from './payment-request.dto.js';
import { type PaymentTimelineDto, type PaymentTimelineQuery, stepSeenBy } from './payment-timeline.dto.js';

/** Runs the requests for payment requests, of REST and gRPC. */
@Injectable()
export class PaymentRequests {
  private readonly timelineCursors = new CursorCodec({ position: 'integer' });

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly decidePayment: DecidePayment,
    private readonly confirmRefund: ConfirmRefund,
    private readonly requests: PaymentRequestStore,
    private readonly requestList: PaymentRequestList,
    private readonly timeline: PaymentTimeline,
  ) {}

  async list(query: PaymentRequestListQuery, caller: Caller): Promise<PaymentRequestPageDto> {
    const listing = listingOf(query, caller);
    const page = pageOfListing(listing, await this.requestList.list(listing));
    return { ...page, items: page.items.map((request) => asSeenBy(caller, request)) };
  }

  /** Returns it with all fields. Reports another customer's request as not found, so that its existence is not disclosed. */
  async find(paymentRequestId: string, caller: Caller): Promise<PaymentRequest> {
    const request = await this.requests.find(paymentRequestId);
    if (!request || (!isOperator(caller) && request.customerId !== caller.userId))
      throw problemOf({ code: 'payment-request-not-found', paymentRequestId }, paymentProblems);
    logContext({ orderId: request.orderId });
    return request;
  }

  async steps(
    paymentRequestId: string,
    { limit, cursor }: PaymentTimelineQuery,
    caller: Caller,
  ): Promise<PaymentTimelineDto> {
    const scope = { paymentRequestId };
    const { position: after } = this.timelineCursors.decode(cursor, scope) ?? { position: 0 };
    const { orderId } = await this.find(paymentRequestId, caller);
    // One more than a page holds, to find out whether another page follows.
    const steps = await this.timeline.read(orderId, after, limit + 1);
    const page = pageOf(steps, limit, ({ position }) => this.timelineCursors.encode({ position }, scope));
    return { ...page, items: page.items.map((step) => stepSeenBy(caller, step)) };
  }

  async decide(
    paymentRequestId: string,
    result: PaymentResult,
    exchange: Exchange,
  ): Promise<Answer<PaymentRequestDto>> {
    const command = commandOf(paymentRequestId, exchange);
    return this.change(exchange, (tx) => this.decidePayment.execute(tx, command, result));
  }

  async confirmRefunded(paymentRequestId: string, exchange: Exchange): Promise<Answer<PaymentRequestDto>> {
    const command = commandOf(paymentRequestId, exchange);
    return this.change(exchange, (tx) => this.confirmRefund.execute(tx, command));
  }

  /** Returns all fields, because only operators change payments. */
  private async change(
    { key, answer }: Exchange,
    work: (tx: EntityManager) => Promise<PaymentDecision>,
  ): Promise<Answer<PaymentRequestDto>> {
    const request = await this.unitOfWork.run(key, async (tx) => stateOrProblem(await work(tx), paymentProblems));
    logContext({ orderId: request.orderId });
    answer.header('etag', etagOf(request.version));
    return request;
  }
}

function commandOf(paymentRequestId: string, { caller, cause, preconditions }: Exchange) {
  return { paymentRequestId, actor: actorOf(caller), cause, precondition: preconditions.version };
}
