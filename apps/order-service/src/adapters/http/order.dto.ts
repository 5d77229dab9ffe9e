import { ApiProperty } from '@nestjs/swagger';
import { IsId } from '@twinbox/api-kit';
import { isLate, type Order, ORDER_STATUSES, type OrderItem, type OrderStatus } from '../../domain/order.js';
import { PAYMENT_STATUSES, type PaymentSnapshot } from '../../domain/payment-snapshot.js';

export const ORDER_ID = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

export class OrderParams {
  @ApiProperty({ format: 'uuid', example: ORDER_ID })
  @IsId()
  readonly orderId!: string;
}

class OrderItemDto implements OrderItem {
  @ApiProperty({ example: 'tea-earl-grey' })
  readonly productId!: string;

  @ApiProperty({ example: 'Earl Grey, 100 g' })
  readonly name!: string;

  @ApiProperty({ type: 'integer', example: 2 })
  readonly quantity!: number;

  @ApiProperty({
    type: 'integer',
    example: 890,
    description:
      'Price of one piece in minor units, from when the order was placed; in a draft, from when the item was added.',
  })
  readonly unitPrice!: number;
}

class PaymentSnapshotDto implements PaymentSnapshot {
  @ApiProperty({ format: 'uuid', example: '01939d3c-3b1e-7a52-8f01-1c2d3e4f5a6b' })
  readonly paymentRequestId!: string;

  @ApiProperty({ enum: PAYMENT_STATUSES, example: 'PENDING' })
  readonly status!: PaymentSnapshot['status'];

  @ApiProperty({
    type: String,
    nullable: true,
    example: null,
    description: 'Why it failed, was cancelled or was refunded.',
  })
  readonly reason!: string | null;
}

export class OrderDto implements Order {
  @ApiProperty({ format: 'uuid', example: ORDER_ID })
  readonly id!: string;

  @ApiProperty({ example: 'demo' })
  readonly customerId!: string;

  @ApiProperty({ enum: ORDER_STATUSES, example: 'PAYMENT_PENDING' })
  readonly status!: OrderStatus;

  @ApiProperty({ type: String, nullable: true, example: 'Leave it at the back door.' })
  readonly description!: string | null;

  @ApiProperty({ type: [OrderItemDto] })
  readonly items!: readonly OrderItemDto[];

  @ApiProperty({ type: 'integer', example: 1780, description: 'In minor units of the currency.' })
  readonly total!: number;

  @ApiProperty({ type: String, nullable: true, example: 'EUR', description: 'ISO 4217; null while a draft is empty.' })
  readonly currency!: string | null;

  @ApiProperty({ type: PaymentSnapshotDto, nullable: true, description: 'As last reported by payment-service.' })
  readonly payment!: PaymentSnapshotDto | null;

  @ApiProperty({ type: String, nullable: true, example: null })
  readonly cancelReason!: string | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: '2026-11-21T09:45:00.000Z',
    description:
      'PLACED: when it began to wait for its payment request. PAYMENT_PENDING: when its payment expires. Otherwise null.',
  })
  readonly dueAt!: Date | null;

  @ApiProperty({ example: false, description: 'Whether it has waited too long for its payment request or the result.' })
  readonly late!: boolean;

  @ApiProperty({ type: 'integer', example: 2, description: 'Increases with every change. It is part of the ETag.' })
  readonly version!: number;

  @ApiProperty({ format: 'date-time', example: '2026-11-21T09:30:00.000Z' })
  readonly createdAt!: Date;

  @ApiProperty({ format: 'date-time', example: '2026-11-21T09:30:00.120Z' })
  readonly updatedAt!: Date;
}

export function orderDto(order: Order, now: Date, lateAfterMs: number): OrderDto {
  return { ...order, late: isLate(order, now, lateAfterMs) };
}
