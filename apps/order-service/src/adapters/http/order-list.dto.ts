import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import {
  ApiNextCursor,
  CursorPageQuery,
  IsText,
  MayBeAbsent,
  QueryAmount,
  QueryFlag,
  QueryList,
  QueryTime,
} from '@twinbox/api-kit';
import { IsIn } from 'class-validator';
import { ORDER_SORTS, type OrderSort } from '../../application/order-list.js';
import { ORDER_STATUSES, type OrderStatus } from '../../domain/order.js';
import { IsProductId } from './is-product-id.js';
import { OrderDto } from './order.dto.js';

export class OrderListQuery extends CursorPageQuery {
  @ApiPropertyOptional({
    enum: ORDER_STATUSES,
    isArray: true,
    example: ['PLACED', 'PAYMENT_PENDING'],
    description: 'Any of these statuses. Repeat the parameter, or separate the values with commas.',
  })
  @QueryList(ORDER_STATUSES)
  readonly status?: readonly OrderStatus[];

  @ApiPropertyOptional({ example: 'tea-earl-grey', description: 'Orders that contain this product.' })
  @MayBeAbsent()
  @IsProductId()
  readonly productId?: string;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    example: 500,
    description:
      'Minimum total in minor units, regardless of currency. Excludes drafts, because their total is not final.',
  })
  @QueryAmount()
  readonly totalMin?: number;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    example: 5000,
    description: 'Maximum total; otherwise like totalMin.',
  })
  @QueryAmount()
  readonly totalMax?: number;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-01',
    description:
      'Created at or after this time. ISO 8601 with a time zone; a date alone means the start of that day in UTC.',
  })
  @QueryTime('from')
  readonly createdFrom?: Date;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-21T18:30:00Z',
    description:
      'Created at or before this time. ISO 8601 with a time zone; a date alone means the end of that day in UTC.',
  })
  @QueryTime('to')
  readonly createdTo?: Date;

  @ApiPropertyOptional({
    type: Boolean,
    example: true,
    description: 'Whether the order is late: PLACED for too long, or PAYMENT_PENDING past its time to live.',
  })
  @QueryFlag()
  readonly late?: boolean;

  @ApiPropertyOptional({
    example: 'demo',
    description: "For operators. Customers get an empty list for another customer's id.",
  })
  @MayBeAbsent()
  @IsText(1, 255)
  readonly customerId?: string;

  @ApiPropertyOptional({
    enum: ORDER_SORTS,
    default: '-created',
    example: '-created',
    description: '`-` sorts the newest or the largest first. Sorting by total excludes drafts.',
  })
  @MayBeAbsent()
  @IsIn(ORDER_SORTS)
  readonly sort: OrderSort = '-created';
}

export class OrderPageDto {
  @ApiProperty({ type: [OrderDto] })
  readonly items!: readonly OrderDto[];

  @ApiNextCursor()
  readonly nextCursor!: string | null;
}
