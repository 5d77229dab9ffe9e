import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { CursorPageQuery, IsText, MayBeAbsent, QueryAmount, QueryFlag, QueryList, QueryTime } from '@twinbox/api-kit';
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
    description: 'Any of these: repeated, or with commas between.',
  })
  @QueryList(ORDER_STATUSES)
  readonly status?: readonly OrderStatus[];

  @ApiPropertyOptional({ example: 'tea-earl-grey', description: 'Orders that have it among their items.' })
  @MayBeAbsent()
  @IsProductId()
  readonly productId?: string;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    example: 500,
    description:
      "In minor units, whatever the currency; so much or more. A draft's total is not fixed: with it there are no drafts.",
  })
  @QueryAmount()
  readonly totalMin?: number;

  @ApiPropertyOptional({ type: 'integer', minimum: 0, example: 5000, description: 'So much or less; like totalMin.' })
  @QueryAmount()
  readonly totalMax?: number;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-01',
    description: 'Created then or later. ISO 8601 with a time zone; a date alone begins at midnight UTC.',
  })
  @QueryTime('from')
  readonly createdFrom?: Date;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-21T18:30:00Z',
    description: 'Created then or before. ISO 8601 with a time zone; a date alone ends at midnight UTC.',
  })
  @QueryTime('to')
  readonly createdTo?: Date;

  @ApiPropertyOptional({
    type: Boolean,
    example: true,
    description: 'Late is what is PLACED for too long, or PAYMENT_PENDING past its time to live.',
  })
  @QueryFlag()
  readonly late?: boolean;

  @ApiPropertyOptional({ example: 'demo', description: "For operators; of others' orders, customers find none." })
  @MayBeAbsent()
  @IsText(1, 255)
  readonly customerId?: string;

  @ApiPropertyOptional({
    enum: ORDER_SORTS,
    default: '-created',
    example: '-created',
    description: '`-` begins with the newest or the largest. By total there are no drafts.',
  })
  @MayBeAbsent()
  @IsIn(ORDER_SORTS)
  readonly sort: OrderSort = '-created';
}

export class OrderPageDto {
  @ApiProperty({ type: [OrderDto] })
  readonly items!: readonly OrderDto[];

  @ApiProperty({
    type: String,
    nullable: true,
    example: null,
    description: 'The cursor of the next page; null on the last.',
  })
  readonly nextCursor!: string | null;
}
