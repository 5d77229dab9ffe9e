import { Controller, HttpCode, Logger, Post, Req } from '@nestjs/common';
import {
  ApiBody,
  ApiExtraModels,
  ApiHeader,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import { ApiProblems, Cause, problemOf, Public, RawBody, UnitOfWork } from '@twinbox/api-kit';
import { InboxRecords } from '@twinbox/messaging';
import type { FastifyRequest } from 'fastify';
import { ApplyPaymentResult } from '../../application/apply-payment-result.js';
import { WEBHOOKS } from '../../config.js';
import { paymentProblems } from './payment-problems.js';
import { moneyOf, readWebhook, resultOf } from './read-webhook.js';
import { WebhookMetrics } from './webhook-metrics.js';
import { WebhookSignature } from './webhook-signature.js';
import { webhookProblems } from './webhook-problems.js';
import { WEBHOOK_TYPES, WebhookAnswerDto, WebhookDto } from './webhook.dto.js';

const ANY_WEBHOOK = {
  oneOf: [
    { $ref: getSchemaPath(WebhookDto) },
    {
      type: 'object',
      description: 'Any other event, with at most 500 values nested up to 32 levels deep. It is accepted and ignored.',
      properties: { type: { type: 'string', not: { enum: [...WEBHOOK_TYPES] } } },
      required: ['type'],
    },
  ],
};

@ApiTags('webhooks')
@Controller('webhooks')
export class WebhooksController {
  private readonly logger = new Logger('Webhooks');

  constructor(
    private readonly signature: WebhookSignature,
    private readonly metrics: WebhookMetrics,
    private readonly records: InboxRecords,
    private readonly applyResult: ApplyPaymentResult,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /** Public, because the signature identifies the provider, who is the only caller. */
  @Post('payments')
  @HttpCode(200)
  @Public()
  @ApiOperation({
    operationId: 'reportPaymentResult',
    summary: 'Report the result of a payment (for the payment provider)',
    description:
      'Must be signed with WEBHOOK_SECRET according to [Standard Webhooks](https://www.standardwebhooks.com). Each webhook-id takes effect ' +
      'once. A success for a payment that is CANCELLED or FAILED leads to a refund. A webhook that names a different `amount` or ' +
      '`currency` than the payment request changes nothing; the timeline records it as `AmountMismatched`.',
  })
  @ApiHeader({
    name: 'webhook-id',
    required: true,
    description: 'Identifies the message. It stays the same when the message is sent again.',
    example: 'msg_2KWPBgLlAfxdpx2AI54pPJ85f4W',
  })
  @ApiHeader({
    name: 'webhook-timestamp',
    required: true,
    description: 'Seconds since 1970-01-01 UTC, at most 5 minutes from now.',
    example: '1795253400',
  })
  @ApiHeader({
    name: 'webhook-signature',
    required: true,
    description: 'One or more signatures of the form `v1,<base64>`, separated by spaces.',
    example: 'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
  })
  @ApiBody({ schema: ANY_WEBHOOK })
  @ApiExtraModels(WebhookDto)
  @ApiOkResponse({ type: WebhookAnswerDto })
  @ApiProblems(
    { ...paymentProblems, ...webhookProblems },
    'payment-request-not-found',
    'webhook-not-genuine',
    'webhooks-not-configured',
  )
  async payments(
    @RawBody() body: Buffer,
    @Cause() cause: string,
    @Req() request: FastifyRequest,
  ): Promise<WebhookAnswerDto> {
    const messageId = this.signature.verify(body, request);
    const webhook = readWebhook(body);
    if (!webhook) return { outcome: 'ignored' };

    const { paymentRequestId } = webhook.data;
    const { outcome, mismatched } = await this.unitOfWork.run(undefined, async (tx): Promise<Effect> => {
      const isNew = await this.records.once(tx, { consumer: WEBHOOKS, source: 'provider', messageId });
      if (!isNew) return { outcome: 'repeated' };

      const decision = await this.applyResult.execute(tx, paymentRequestId, {
        result: resultOf(webhook),
        named: moneyOf(webhook),
        source: 'provider',
        type: webhook.type,
        cause,
        messageId,
      });
      if (decision.accepted) return { outcome: 'applied' };
      const { rejection } = decision;
      // Rolls back, because the request may exist by the time the webhook is sent again.
      if (rejection.code === 'payment-request-not-found') throw problemOf(rejection, paymentProblems);
      return { outcome: 'passed-over', mismatched: rejection.code === 'amount-mismatched' };
    });
    if (mismatched) {
      this.metrics.mismatched.inc();
      this.logger.warn('A webhook names a different amount or currency than its payment request. It was ignored.', {
        paymentRequestId,
        messageId,
      });
    }
    return { outcome };
  }
}

interface Effect extends WebhookAnswerDto {
  readonly mismatched?: boolean;
}
