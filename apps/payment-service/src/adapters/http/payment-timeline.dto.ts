import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Caller, CursorPageQuery, isOperator } from '@twinbox/api-kit';
import { type PlacedStep, type TimelineDetail } from '../../application/payment-timeline.js';
import { PAYMENT_STATUSES, type PaymentStatus } from '../../domain/payment-request.js';

export class PaymentTimelineQuery extends CursorPageQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 100, default: 100, example: 100 })
  override readonly limit: number = 100;
}

export class TimelineStepDto implements PlacedStep {
  @ApiProperty({
    type: 'integer',
    example: 100,
    description: 'Which step it is: no other has this number, and the later ones of the payment have higher ones.',
  })
  readonly position!: number;

  @ApiProperty({
    example: 'PaymentSucceeded',
    description:
      'What happened: an event of topic payment.events; `OrderCancelled`, `RefundRequested`, `LatePaymentReceived`; `MessagePassedOver`: ' +
      'a message arrived that changed nothing; `AmountMismatched`: a webhook named a different amount or currency and was ignored; ' +
      '`ChargeGivenUp`, `RefundGivenUp`: a call to the gateway failed for good.',
  })
  readonly type!: string;

  @ApiProperty({
    enum: PAYMENT_STATUSES,
    nullable: true,
    example: 'SUCCEEDED',
    description: 'Of the payment, afterwards.',
  })
  readonly status!: PaymentStatus | null;

  @ApiProperty({ type: 'integer', nullable: true, example: 2, description: 'Of the payment, afterwards.' })
  readonly version!: number | null;

  @ApiProperty({ format: 'date-time', example: '2026-11-21T09:31:00.000Z' })
  readonly at!: Date;

  @ApiProperty({
    example: 'operator:olga',
    description:
      '`customer:<user>`, `operator:<user>` (to customers just `operator`), `gateway`, `provider`, `system`, or a service.',
  })
  readonly actor!: string;

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'POST /payment-requests/:paymentRequestId/succeed',
    description: 'The request, the type of the message that was heard, or what came due: `charge`, `refund`, `expiry`.',
  })
  readonly cause!: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    example: '01939d3d-1c77-7e0b-a3a1-5d0c2b7e9f10',
    description: 'The message that was heard, or the one that tells of the step.',
  })
  readonly messageId!: string | null;

  @ApiProperty({
    type: 'object',
    nullable: true,
    additionalProperties: { type: 'string' },
    example: { reason: 'card declined' },
    description:
      '`reason`; `type` of what changed nothing; `expiresAt`; `jobId` of a dead job. The `jobId`, and what an `AmountMismatched` named, ' +
      'are for operators only.',
  })
  readonly detail!: TimelineDetail | null;
}

export class PaymentTimelineDto {
  @ApiProperty({ type: [TimelineStepDto], description: 'Oldest first.' })
  readonly items!: readonly TimelineStepDto[];

  @ApiProperty({
    type: String,
    nullable: true,
    example: null,
    description: 'The cursor of the next page; null on the last.',
  })
  readonly nextCursor!: string | null;
}

/** Customers do not see which operator it was, nor what {@link detailSeenBy} hides. */
export function stepSeenBy(caller: Caller, step: PlacedStep): TimelineStepDto {
  const { position, type, status, version, at, cause, messageId } = step;
  const actor = isOperator(caller) ? step.actor : step.actor.replace(/^operator:.*/s, 'operator');
  return { position, type, status, version, at, actor, cause, messageId, detail: detailSeenBy(caller, step) };
}

/** Hides from customers the money of what may be another payment, and the ids of jobs. */
function detailSeenBy(caller: Caller, { type, detail }: PlacedStep): TimelineDetail | null {
  if (detail === null || isOperator(caller)) return detail;
  const { jobId: _, ...shown } = detail;
  if (type === 'AmountMismatched') return { ...shown, reason: 'It names another amount or currency than the payment.' };
  return Object.keys(shown).length > 0 ? shown : null;
}
