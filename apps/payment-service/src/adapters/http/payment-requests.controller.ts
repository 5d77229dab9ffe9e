import { Body, Controller, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import {
  type Answer,
  ApiProblems,
  Caller,
  Cause,
  conditionalPage,
  conditionalResponse,
  IdempotencyKey,
  NoBody,
  PagePreconditions,
  Preconditions,
  RequireRole,
} from '@twinbox/api-kit';
import { type FastifyReply } from 'fastify';
import { paymentProblems } from './payment-problems.js';
import { PaymentRequestListQuery, PaymentRequestPageDto } from './payment-request-list.dto.js';
import {
  asSeenBy,
  etagSeenBy,
  FailPaymentDto,
  PaymentRequestDto,
  PaymentRequestParams,
} from './payment-request.dto.js';
import { PaymentRequests } from './payment-requests.js';
import { PaymentTimelineDto, PaymentTimelineQuery } from './payment-timeline.dto.js';

@ApiTags('payment requests')
@Controller('payment-requests')
export class PaymentRequestsController {
  constructor(private readonly requests: PaymentRequests) {}

  @Get()
  @ApiOperation({
    operationId: 'listPaymentRequests',
    summary: 'List payment requests: customers see their own, operators all',
    description:
      'Newest first unless `sort` says otherwise. A payment request that existed when paging began, and matches the filters throughout, is ' +
      'on exactly one page.',
  })
  @ApiOkResponse({ type: PaymentRequestPageDto })
  async list(
    @Query() query: PaymentRequestListQuery,
    @Caller() caller: Caller,
    @PagePreconditions() preconditions: PagePreconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PaymentRequestPageDto | undefined> {
    return conditionalPage(reply, preconditions, await this.requests.list(query, caller));
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
    const request = await this.requests.find(paymentRequestId, caller);
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
    @Query() query: PaymentTimelineQuery,
    @Caller() caller: Caller,
  ): Promise<PaymentTimelineDto> {
    return this.requests.steps(paymentRequestId, query, caller);
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
    @Preconditions() preconditions: Preconditions,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<PaymentRequestDto>> {
    const exchange = { caller, cause, preconditions, key, answer: reply };
    return this.requests.decide(paymentRequestId, { status: 'SUCCEEDED' }, exchange);
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
    @Preconditions() preconditions: Preconditions,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<PaymentRequestDto>> {
    const exchange = { caller, cause, preconditions, key, answer: reply };
    return this.requests.decide(paymentRequestId, { status: 'FAILED', reason }, exchange);
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
    @Preconditions() preconditions: Preconditions,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<PaymentRequestDto>> {
    const exchange = { caller, cause, preconditions, key, answer: reply };
    return this.requests.confirmRefunded(paymentRequestId, exchange);
  }
}
