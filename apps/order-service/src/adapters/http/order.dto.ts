import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsText, PageQuery } from '@twinbox/api-kit';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsInt,
  IsOptional,
  IsString,
  IsUUID,
  Length,
  Matches,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';
import {
  type Order,
  type OrderItem,
  ORDER_STATUSES,
  type OrderStatus,
  PAYMENT_STATUSES,
  type PaymentSnapshot,
} from '../../domain/order.js';

const ORDER_ID = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

export class OrderLineDto {
  @ApiProperty({ example: 'tea-earl-grey', pattern: '^[a-z0-9-]+$', minLength: 1, maxLength: 64 })
  @IsString()
  @Length(1, 64)
  @Matches(/^[a-z0-9-]+$/, { message: 'productId must consist of lower case letters, digits and hyphens' })
  readonly productId!: string;

  @ApiProperty({ example: 2, type: 'integer', minimum: 1, maximum: 10_000 })
  @IsInt()
  @Min(1)
  @Max(10_000)
  readonly quantity!: number;
}

export class PlaceOrderDto {
  @ApiProperty({ type: [OrderLineDto], minItems: 1, maxItems: 100, description: 'Lines of one product add up.' })
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(100)
  @ValidateNested({ each: true })
  @Type(() => OrderLineDto)
  readonly items!: OrderLineDto[];

  @ApiPropertyOptional({ type: String, nullable: true, example: 'Leave it at the back door.', maxLength: 500 })
  @IsOptional()
  @IsText(0, 500)
  readonly description?: string | null;
}

export class OrderParams {
  @ApiProperty({ format: 'uuid', example: ORDER_ID })
  @IsUUID('7')
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
    description: 'For one piece, in minor units, when the order was placed.',
  })
  readonly unitPrice!: number;
}

class PaymentSnapshotDto implements PaymentSnapshot {
  @ApiProperty({ format: 'uuid', example: '01939d3c-3b1e-7a52-8f01-1c2d3e4f5a6b' })
  readonly paymentRequestId!: string;

  @ApiProperty({ enum: PAYMENT_STATUSES, example: 'PENDING' })
  readonly status!: PaymentSnapshot['status'];

  @ApiProperty({ type: String, nullable: true, example: null, description: 'Why it failed.' })
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

  @ApiProperty({ example: 'EUR', description: 'ISO 4217.' })
  readonly currency!: string;

  @ApiProperty({ type: PaymentSnapshotDto, nullable: true, description: 'As last heard from payment-service.' })
  readonly payment!: PaymentSnapshotDto | null;

  @ApiProperty({ type: String, nullable: true, example: null })
  readonly cancelReason!: string | null;

  @ApiProperty({ type: 'integer', example: 2, description: 'Grows with every change.' })
  readonly version!: number;

  @ApiProperty({ format: 'date-time', example: '2026-11-21T09:30:00.000Z' })
  readonly createdAt!: Date;

  @ApiProperty({ format: 'date-time', example: '2026-11-21T09:30:00.120Z' })
  readonly updatedAt!: Date;
}

export class OrderPageDto {
  @ApiProperty({ type: [OrderDto] })
  readonly items!: readonly OrderDto[];

  @ApiProperty({ type: String, nullable: true, example: null, description: 'The cursor of the next page.' })
  readonly nextCursor!: string | null;
}

export class OrderPageQuery extends PageQuery {
  @ApiPropertyOptional({ format: 'uuid', example: ORDER_ID, description: 'The nextCursor of the page before.' })
  @IsOptional()
  @IsUUID('7')
  readonly cursor?: string;
}
