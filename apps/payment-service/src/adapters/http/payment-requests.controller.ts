import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems, Caller, logContext, NoBody, problemOf, RequireRole, stateOrProblem } from '@twinbox/api-kit';
import { DataSource } from 'typeorm';
import { DecidePayment } from '../../application/decide-payment.js';
import { PaymentRequestStore } from '../../application/payment-request-store.js';
import { type PaymentRequest, type PaymentResult } from '../../domain/payment-request.js';
import { paymentProblems } from './payment-problems.js';
import {
  FailPaymentDto,
  PaymentRequestDto,
  PaymentRequestPageDto,
  PaymentRequestPageQuery,
  PaymentRequestParams,
} from './payment-request.dto.js';

@ApiTags('payment requests')
@Controller('payment-requests')
export class PaymentRequestsController {
  constructor(
    private readonly dataSource: DataSource,
    private readonly decidePayment: DecidePayment,
    private readonly requests: PaymentRequestStore,
  ) {}

  @Get()
  @ApiOperation({ summary: "Payment requests, newest first: a customer's own, an operator's all" })
  @ApiOkResponse({ type: PaymentRequestPageDto })
  async list(
    @Query() { orderId, status, limit, cursor }: PaymentRequestPageQuery,
    @Caller() caller: Caller,
  ): Promise<PaymentRequestPageDto> {
    const page = await this.requests.list({ orderId, status, customerId: ownerSeenBy(caller) }, { limit, cursor });
    return { ...page, items: page.items.map((request) => asSeenBy(caller, request)) };
  }

  @Get(':paymentRequestId')
  @ApiOperation({ summary: 'One payment request' })
  @ApiOkResponse({ type: PaymentRequestDto })
  @ApiProblems(paymentProblems, 'payment-request-not-found')
  async get(@Param() { paymentRequestId }: PaymentRequestParams, @Caller() caller: Caller): Promise<PaymentRequestDto> {
    const request = await this.requests.find(paymentRequestId);
    const owner = ownerSeenBy(caller);
    if (!request || (owner !== undefined && request.customerId !== owner)) {
      throw problemOf({ code: 'payment-request-not-found', paymentRequestId }, paymentProblems);
    }
    logContext({ orderId: request.orderId });
    return asSeenBy(caller, request);
  }

  @Post(':paymentRequestId/succeed')
  @HttpCode(200)
  @NoBody()
  @RequireRole('operator')
  @ApiOperation({ summary: 'The money is there', description: 'The same result again is the same answer.' })
  @ApiOkResponse({ type: PaymentRequestDto })
  @ApiProblems(paymentProblems, 'payment-request-not-found', 'payment-already-decided')
  async succeed(
    @Param() { paymentRequestId }: PaymentRequestParams,
    @Caller() { userId }: Caller,
  ): Promise<PaymentRequestDto> {
    return this.decide(paymentRequestId, { status: 'SUCCEEDED' }, userId);
  }

  @Post(':paymentRequestId/fail')
  @HttpCode(200)
  @RequireRole('operator')
  @ApiOperation({
    summary: 'The money will not come',
    description: 'The same result again is the same answer: the first reason stays.',
  })
  @ApiOkResponse({ type: PaymentRequestDto })
  @ApiProblems(paymentProblems, 'payment-request-not-found', 'payment-already-decided')
  async fail(
    @Param() { paymentRequestId }: PaymentRequestParams,
    @Body() { reason }: FailPaymentDto,
    @Caller() { userId }: Caller,
  ): Promise<PaymentRequestDto> {
    return this.decide(paymentRequestId, { status: 'FAILED', reason }, userId);
  }

  private async decide(paymentRequestId: string, result: PaymentResult, operator: string): Promise<PaymentRequestDto> {
    const decision = await this.dataSource.transaction((tx) =>
      this.decidePayment.execute(tx, paymentRequestId, result, operator),
    );
    const request = stateOrProblem(decision, paymentProblems);
    logContext({ orderId: request.orderId });
    return request;
  }
}

/** Operators see all requests, everybody else only their own. */
function ownerSeenBy({ userId, roles }: Caller): string | undefined {
  return roles.has('operator') ? undefined : userId;
}

/** Which operator decided is nothing for customers. */
function asSeenBy({ roles }: Caller, request: PaymentRequest): PaymentRequestDto {
  return roles.has('operator') ? request : { ...request, decidedBy: null };
}
