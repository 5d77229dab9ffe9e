import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import {
  ApiNextCursor,
  Caller,
  CursorCodec,
  CursorPageQuery,
  IsId,
  isOperator,
  IsText,
  MayBeAbsent,
  QueryAmount,
  QueryList,
  QueryTime,
} from '@twinbox/api-kit';
import { pageOf } from '@twinbox/kernel';
import { IsIn } from 'class-validator';
import {
  PAYMENT_SORTS,
  type PaymentListing,
  type PaymentRequestFilter,
  type PaymentSort,
} from '../../application/payment-request-list.js';
import { PAYMENT_STATUSES, type PaymentRequest, type PaymentStatus } from '../../domain/payment-request.js';
import { ORDER_ID, PaymentRequestDto } from './payment-request.dto.js';

export class PaymentRequestListQuery extends CursorPageQuery {
  @ApiPropertyOptional({
    enum: PAYMENT_STATUSES,
    isArray: true,
    example: ['PENDING'],
    description: 'Any of these statuses. Repeat the parameter, or separate the values with commas.',
  })
  @QueryList(PAYMENT_STATUSES)
  readonly status?: readonly PaymentStatus[];

  @ApiPropertyOptional({ format: 'uuid', example: ORDER_ID })
  @MayBeAbsent()
  @IsId()
  readonly orderId?: string;

  @ApiPropertyOptional({
    example: 'demo',
    description: 'Customers see only their own payment requests, whatever they enter here.',
  })
  @MayBeAbsent()
  @IsText(1, 255)
  readonly customerId?: string;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    example: 500,
    description: 'In minor units, regardless of the currency.',
  })
  @QueryAmount()
  readonly amountMin?: number;

  @ApiPropertyOptional({ type: 'integer', minimum: 0, example: 5000 })
  @QueryAmount()
  readonly amountMax?: number;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-21',
    description:
      'Created at or after this time. ISO 8601 with a time zone; a date alone means the start of that day in UTC.',
  })
  @QueryTime('from')
  readonly createdFrom?: Date;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-22T18:30:00Z',
    description:
      'Created at or before this time. ISO 8601 with a time zone; a date alone means the end of that day in UTC.',
  })
  @QueryTime('to')
  readonly createdTo?: Date;

  @ApiPropertyOptional({
    enum: PAYMENT_SORTS,
    default: '-created',
    example: '-created',
    description: 'A leading minus sorts in descending order.',
  })
  @MayBeAbsent()
  @IsIn(PAYMENT_SORTS)
  readonly sort: PaymentSort = '-created';
}

export class PaymentRequestPageDto {
  @ApiProperty({ type: [PaymentRequestDto] })
  readonly items!: readonly PaymentRequestDto[];

  @ApiNextCursor()
  readonly nextCursor!: string | null;
}

const cursors = new CursorCodec({ amount: 'integer', id: 'uuid' });

/** Limits the query to what the caller may see. Reads one row more than a page holds, to find out whether another page follows. */
export function listingOf(query: PaymentRequestListQuery, caller: Caller): PaymentListing {
  const { limit, cursor, sort } = query;
  const filter = filterOf(query, caller);
  // A cursor is valid only for the same filter and sort.
  return { filter, sort, limit: limit + 1, after: cursors.decode(cursor, { filter, sort }) };
}

export function pageOfListing({ filter, sort, limit }: PaymentListing, found: readonly PaymentRequest[]) {
  return pageOf(found, limit - 1, ({ amount, id }) => cursors.encode({ amount, id }, { filter, sort }));
}

function filterOf(query: PaymentRequestListQuery, caller: Caller): PaymentRequestFilter {
  const { status, orderId, customerId, amountMin, amountMax, createdFrom, createdTo } = query;
  const statuses = status && [...new Set(status)].sort();
  const own = isOperator(caller) ? undefined : caller.userId;
  return { statuses, orderId, customerId, own, amountMin, amountMax, createdFrom, createdTo };
}
