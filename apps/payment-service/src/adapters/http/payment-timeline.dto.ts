import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { actorSeenBy, ApiNextCursor, Caller, CursorPageQuery, isOperator } from '@twinbox/api-kit';
import { type StepDetail } from '../../application/payment-request-store.js';
import { type StoredStep } from '../../application/payment-timeline.js';
import { PAYMENT_STATUSES, type PaymentStatus } from '../../domain/payment-request.js';

export class PaymentTimelineQuery extends CursorPageQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 100, default: 100, example: 100 })
  override readonly limit: number = 100;
}

export class TimelineStepDto implements StoredStep {
  @ApiProperty({
    type: 'integer',
    example: 100,
    description: 'Identifies the step. Later steps of the same payment have higher positions.',
  })
  readonly position!: number;

  @ApiProperty({
    example: 'PaymentSucceeded',
    description:
      'What happened: an event of topic payment.events, `OrderCancelled`, `RefundRequested`, `LatePaymentReceived`, `MessagePassedOver` (a ' +
      'message arrived and changed nothing), `AmountMismatched` (a webhook named a different amount or currency and was ignored), or ' +
      '`ChargeGivenUp` or `RefundGivenUp` (a call to the gateway failed for good).',
  })
  readonly type!: string;

  @ApiProperty({
    enum: PAYMENT_STATUSES,
    nullable: true,
    example: 'SUCCEEDED',
    description: 'The status of the payment after the step.',
  })
  readonly status!: PaymentStatus | null;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    example: 2,
    description: 'The version of the payment after the step.',
  })
  readonly version!: number | null;

  @ApiProperty({ format: 'date-time', example: '2026-11-21T09:31:00.000Z' })
  readonly at!: Date;

  @ApiProperty({
    example: 'operator:olga',
    description:
      'Who caused the step: `customer:<user>`, `operator:<user>` or `admin:<user>` (only `operator` for customers), `gateway`, `provider`, `system`, or the ' +
      'name of a service.',
  })
  readonly actor!: string;

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'POST /payment-requests/:paymentRequestId/succeed',
    description:
      'What caused the step: an HTTP route, the type of the received message, or background work (`charge`, `refund`, `expiry`).',
  })
  readonly cause!: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    example: '01939d3d-1c77-7e0b-a3a1-5d0c2b7e9f10',
    description: 'The received message that caused the step, or else the message published about it.',
  })
  readonly messageId!: string | null;

  @ApiProperty({
    type: 'object',
    nullable: true,
    additionalProperties: { type: 'string' },
    example: { reason: 'card declined' },
    description:
      'Depends on the step: `reason`, `type` of the ignored message, `expiresAt`, `jobId` of a dead job. Customers see neither the `jobId` ' +
      'nor the amount and currency that an `AmountMismatched` named.',
  })
  readonly detail!: StepDetail | null;
}

export class PaymentTimelineDto {
  @ApiProperty({ type: [TimelineStepDto], description: 'Oldest first.' })
  readonly items!: readonly TimelineStepDto[];

  @ApiNextCursor()
  readonly nextCursor!: string | null;
}

/** Hides from customers which operator acted, and what {@link detailSeenBy} hides. */
export function stepSeenBy(caller: Caller, step: StoredStep): TimelineStepDto {
  const { position, type, status, version, at, cause, messageId } = step;
  const actor = actorSeenBy(caller, step.actor);
  return { position, type, status, version, at, actor, cause, messageId, detail: detailSeenBy(caller, step) };
}

/** Hides job ids from customers, and amounts that may belong to another payment. */
function detailSeenBy(caller: Caller, { type, detail }: StoredStep): StepDetail | null {
  if (detail === null || isOperator(caller)) return detail;
  const { jobId: _, ...shown } = detail;
  if (type === 'AmountMismatched')
    return { ...shown, reason: 'It names a different amount or currency than the payment.' };
  return Object.keys(shown).length > 0 ? shown : null;
}
