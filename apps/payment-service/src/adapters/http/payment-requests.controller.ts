import { Body, Controller, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import {
  actorOf,
  ApiProblems,
  Caller,
  Cause,
  conditionalResponse,
  CursorCodec,
  etagOf,
  IdempotencyKey,
  isOperator,
  type Answer,
  logContext,
  NoBody,
  Preconditions,
  problemOf,
  RequireRole,
  stateOrProblem,
  UnitOfWork,
} from '@twinbox/api-kit';
import { pageOf } from '@twinbox/kernel';
import { type FastifyReply } from 'fastify';
import { type EntityManager } from 'typeorm';
import { ConfirmRefund } from '../../application/confirm-refund.js';
import { DecidePayment } from '../../application/decide-payment.js';
import { PaymentRequestList } from '../../application/payment-request-list.js';
import { PaymentRequestStore } from '../../application/payment-request-store.js';
import { PaymentTimeline } from '../../application/payment-timeline.js';
import { type PaymentDecision, type PaymentRequest } from '../../domain/payment-request.js';
import { paymentProblems } from './payment-problems.js';
import {
  listingOf,
  pageOfListing,
  PaymentRequestListQuery,
  PaymentRequestPageDto,
} from './payment-request-list.dto.js';
import {
  asSeenBy,
  etagSeenBy,
  FailPaymentDto,
  PaymentRequestDto,
  PaymentRequestParams,
} from './payment-request.dto.js';
import { PaymentTimelineDto, PaymentTimelineQuery, stepSeenBy } from './payment-timeline.dto.js';

@ApiTags('payment requests')
@Controller('payment-requests')
export class PaymentRequestsController {
  private readonly timelineCursors = new CursorCodec({ position: 'integer' });

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly decidePayment: DecidePayment,
    private readonly confirmRefund: ConfirmRefund,
    private readonly requests: PaymentRequestStore,
    private readonly requestList: PaymentRequestList,
    private readonly timeline: PaymentTimeline,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'listPaymentRequests',
    summary: 'List payment requests: customers see their own, operators all',
    description:
      'Newest first unless `sort` says otherwise. A payment request that existed when paging began, and matches the filters throughout, is ' +
      'on exactly one page.',
  })
  @ApiOkResponse({ type: PaymentRequestPageDto })
  async list(@Query() query: PaymentRequestListQuery, @Caller() caller: Caller): Promise<PaymentRequestPageDto> {
    const listing = listingOf(query, caller);
    const page = pageOfListing(listing, await this.requestList.list(listing));
    return { ...page, items: page.items.map((request) => asSeenBy(caller, request)) };
  }

  @Get(':paymentRequestId')
  @ApiOperation({ operationId: 'getPaymentRequest', summary: 'Get a payment request' })
  @ApiOkResponse({ type: PaymentRequestDto })
  @ApiProblems(paymentProblems, 'payment-request-not-found')
  async get(
    @Param() { paymentRequestId }: PaymentRequestParams,
    @Caller() caller: Caller,
    @Preconditions() preconditions: Preconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PaymentRequestDto | undefined> {
    const request = await this.findVisible(caller, paymentRequestId);
    const [etag, seen] = [etagSeenBy(caller, request), asSeenBy(caller, request)];
    return conditionalResponse(reply, preconditions, etag, seen, request.updatedAt);
  }

  @Get(':paymentRequestId/timeline')
  @ApiOperation({
    operationId: 'getTimeline',
    summary: 'List the steps of a payment, including messages that changed nothing',
  })
  @ApiOkResponse({ type: PaymentTimelineDto })
  @ApiProblems(paymentProblems, 'payment-request-not-found')
  async steps(
    @Param() { paymentRequestId }: PaymentRequestParams,
    @Query() { limit, cursor }: PaymentTimelineQuery,
    @Caller() caller: Caller,
  ): Promise<PaymentTimelineDto> {
    const scope = { paymentRequestId };
    const { position: after } = this.timelineCursors.decode(cursor, scope) ?? { position: 0 };
    const { orderId } = await this.findVisible(caller, paymentRequestId);
    // One more than a page holds, to find out whether another page follows.
    const steps = await this.timeline.read(orderId, after, limit + 1);
    const page = pageOf(steps, limit, ({ position }) => this.timelineCursors.encode({ position }, scope));
    return { ...page, items: page.items.map((step) => stepSeenBy(caller, step)) };
  }

  @Post(':paymentRequestId/succeed')
  @HttpCode(200)
  @NoBody()
  @RequireRole('operator')
  @ApiOperation({
    operationId: 'markPaymentSucceeded',
    summary: 'Mark a payment as succeeded',
    description: 'Sending the same result again returns the same answer.',
  })
  @ApiOkResponse({ type: PaymentRequestDto })
  @ApiProblems(paymentProblems, 'payment-request-not-found', 'version-conflict', 'payment-already-decided')
  async succeed(
    @Param() { paymentRequestId }: PaymentRequestParams,
    @Caller() caller: Caller,
    @Cause() cause: string,
    @Preconditions() { version: precondition }: Preconditions,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<PaymentRequestDto>> {
    const command = { paymentRequestId, actor: actorOf(caller), cause, precondition };
    const result = { status: 'SUCCEEDED' } as const;
    return this.change(key, reply, (tx) => this.decidePayment.execute(tx, command, result));
  }

  @Post(':paymentRequestId/fail')
  @HttpCode(200)
  @RequireRole('operator')
  @ApiOperation({
    operationId: 'markPaymentFailed',
    summary: 'Mark a payment as failed',
    description: 'Sending the same result again returns the same answer, with the first reason.',
  })
  @ApiOkResponse({ type: PaymentRequestDto })
  @ApiProblems(paymentProblems, 'payment-request-not-found', 'version-conflict', 'payment-already-decided')
  async fail(
    @Param() { paymentRequestId }: PaymentRequestParams,
    @Body() { reason }: FailPaymentDto,
    @Caller() caller: Caller,
    @Cause() cause: string,
    @Preconditions() { version: precondition }: Preconditions,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<PaymentRequestDto>> {
    const command = { paymentRequestId, actor: actorOf(caller), cause, precondition };
    const result = { status: 'FAILED', reason } as const;
    return this.change(key, reply, (tx) => this.decidePayment.execute(tx, command, result));
  }

  @Post(':paymentRequestId/refunded')
  @HttpCode(200)
  @NoBody()
  @RequireRole('operator')
  @ApiOperation({
    operationId: 'markPaymentRefunded',
    summary: 'Confirm a refund that was made by hand',
    description:
      'For a payment that is REFUND_PENDING and whose gateway has given up the refund (`RefundGivenUp`). Confirming it again returns the ' +
      'same answer.',
  })
  @ApiOkResponse({ type: PaymentRequestDto })
  @ApiProblems(paymentProblems, 'payment-request-not-found', 'version-conflict', 'refund-not-due', 'refund-under-way')
  async refunded(
    @Param() { paymentRequestId }: PaymentRequestParams,
    @Caller() caller: Caller,
    @Cause() cause: string,
    @Preconditions() { version: precondition }: Preconditions,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<PaymentRequestDto>> {
    const command = { paymentRequestId, actor: actorOf(caller), cause, precondition };
    return this.change(key, reply, (tx) => this.confirmRefund.execute(tx, command));
  }

  /** Returns all fields, because only operators change payments. */
  private async change(
    key: IdempotencyKey | undefined,
    reply: FastifyReply,
    decide: (tx: EntityManager) => Promise<PaymentDecision>,
  ): Promise<Answer<PaymentRequestDto>> {
    const request = await this.unitOfWork.run(key, async (tx) => stateOrProblem(await decide(tx), paymentProblems));
    logContext({ orderId: request.orderId });
    reply.header('etag', etagOf(request.version));
    return request;
  }

  /** Reports another customer's request as not found, so that its existence is not disclosed. */
  private async findVisible(caller: Caller, paymentRequestId: string): Promise<PaymentRequest> {
    const request = await this.requests.find(paymentRequestId);
    if (!request || (!isOperator(caller) && request.customerId !== caller.userId))
      throw problemOf({ code: 'payment-request-not-found', paymentRequestId }, paymentProblems);
    logContext({ orderId: request.orderId });
    return request;
  }
}
