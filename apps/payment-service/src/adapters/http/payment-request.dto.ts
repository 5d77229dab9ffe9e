import { ApiProperty } from '@nestjs/swagger';
import { Caller, etagOf, IsId, isOperator, IsText } from '@twinbox/api-kit';
import { Matches } from 'class-validator';
import { PAYMENT_STATUSES, type PaymentRequest, type PaymentStatus } from '../../domain/payment-request.js';

const PAYMENT_REQUEST_ID = '01939d3c-3b1e-7a52-8f01-1c2d3e4f5a6b';
export const ORDER_ID = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

export class PaymentRequestParams {
  @ApiProperty({ format: 'uuid', example: PAYMENT_REQUEST_ID })
  @IsId()
  readonly paymentRequestId!: string;
}

export class FailPaymentDto {
  @ApiProperty({
    example: 'card declined',
    minLength: 1,
    maxLength: 400,
    description: 'The reason, as shown to the customer.',
  })
  @IsText(1, 400)
  @Matches(/\S/, { message: 'reason must not be blank' })
  readonly reason!: string;
}

export class PaymentRequestDto implements Omit<PaymentRequest, 'gateway'> {
  @ApiProperty({ format: 'uuid', example: PAYMENT_REQUEST_ID })
  readonly id!: string;

  @ApiProperty({ format: 'uuid', example: ORDER_ID })
  readonly orderId!: string;

  @ApiProperty({ example: 'demo' })
  readonly customerId!: string;

  @ApiProperty({ type: 'integer', example: 1780, description: 'In minor units of the currency.' })
  readonly amount!: number;

  @ApiProperty({ example: 'EUR', description: 'ISO 4217.' })
  readonly currency!: string;

  @ApiProperty({
    type: String,
    nullable: true,
    example: null,
    description: 'The gateway that handles the payment: `manual` or `simulated`. Always null for customers.',
  })
  readonly gateway!: string | null;

  @ApiProperty({ enum: PAYMENT_STATUSES, example: 'PENDING' })
  readonly status!: PaymentStatus;

  @ApiProperty({
    type: String,
    nullable: true,
    example: null,
    description: 'Why the payment failed, was cancelled or is refunded.',
  })
  readonly reason!: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    example: null,
    description:
      'Who decided the payment: the user id of an operator or admin, `gateway`, `provider`, or `system` when it expired. A user whose id is ' +
      'one of these words, or begins with `operator:` or `admin:`, appears as `operator:<user id>` or `admin:<user id>`. Null if nobody ' +
      'decided it, and always null for customers.',
  })
  readonly decidedBy!: string | null;

  @ApiProperty({ type: 'integer', example: 1, description: 'Increases with every change. The ETag contains it.' })
  readonly version!: number;

  @ApiProperty({
    format: 'date-time',
    example: '2026-11-21T09:45:00.050Z',
    description: 'If still PENDING at this time, the payment fails as expired.',
  })
  readonly expiresAt!: Date;

  @ApiProperty({ format: 'date-time', example: '2026-11-21T09:30:00.050Z' })
  readonly createdAt!: Date;

  @ApiProperty({ format: 'date-time', example: '2026-11-21T09:30:00.050Z' })
  readonly updatedAt!: Date;
}

/** Customers see neither which operator decided the payment nor which gateway handles it. */
export function asSeenBy(caller: Caller, request: PaymentRequest): PaymentRequestDto {
  return isOperator(caller) ? request : { ...request, decidedBy: null, gateway: null };
}

/** Customers and operators get different representations of the same version, so their ETags must differ. */
export function etagSeenBy(caller: Caller, { version }: PaymentRequest): string {
  return etagOf(version, isOperator(caller) ? undefined : 'customer');
}
