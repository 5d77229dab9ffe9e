import { ApiPropertyOptional } from '@nestjs/swagger';
import {
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
} from '../../application/payment-request-store.js';
import { PAYMENT_STATUSES, type PaymentRequest, type PaymentStatus } from '../../domain/payment-request.js';
import { ORDER_ID } from './payment-request.dto.js';

export class PaymentRequestPageQuery extends CursorPageQuery {
  @ApiPropertyOptional({
    enum: PAYMENT_STATUSES,
    isArray: true,
    example: ['PENDING'],
    description: 'Any of these: named again, or with commas between.',
  })
  @QueryList(PAYMENT_STATUSES)
  readonly status?: readonly PaymentStatus[];

  @ApiPropertyOptional({ format: 'uuid', example: ORDER_ID })
  @MayBeAbsent()
  @IsId()
  readonly orderId?: string;

  @ApiPropertyOptional({ example: 'demo', description: 'Customers find only their own, whatever they say here.' })
  @MayBeAbsent()
  @IsText(1, 255)
  readonly customerId?: string;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    example: 500,
    description: 'In minor units, whatever the currency.',
  })
  @QueryAmount()
  readonly amountMin?: number;

  @ApiPropertyOptional({ type: 'integer', minimum: 0, example: 5000 })
  @QueryAmount()
  readonly amountMax?: number;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-21',
    description: 'Created then or later. ISO 8601 with a time zone; a date alone begins at midnight UTC.',
  })
  @QueryTime('from')
  readonly createdFrom?: Date;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-22T18:30:00Z',
    description: 'Created then or before. ISO 8601 with a time zone; a date alone ends at midnight UTC.',
  })
  @QueryTime('to')
  readonly createdTo?: Date;

  @ApiPropertyOptional({
    enum: PAYMENT_SORTS,
    default: '-created',
    example: '-created',
    description: 'With a minus: downwards.',
  })
  @MayBeAbsent()
  @IsIn(PAYMENT_SORTS)
  readonly sort: PaymentSort = '-created';
}

const cursors = new CursorCodec({ amount: 'integer', id: 'uuid' });

/** What a caller may see of what they ask for. One more is read than a page has: it shows that there is another page. */
export function listingOf(query: PaymentRequestPageQuery, caller: Caller): PaymentListing {
  const { limit, cursor, sort } = query;
  const filter = filterOf(query, caller);
  // A cursor goes on with the same list only.
  return { filter, sort, limit: limit + 1, after: cursors.decode(cursor, { filter, sort }) };
}

export function pageOfListing({ filter, sort, limit }: PaymentListing, found: readonly PaymentRequest[]) {
  return pageOf(found, limit - 1, ({ amount, id }) => cursors.encode({ amount, id }, { filter, sort }));
}

function filterOf(query: PaymentRequestPageQuery, caller: Caller): PaymentRequestFilter {
  const { status, orderId, customerId, amountMin, amountMax, createdFrom, createdTo } = query;
  const statuses = status && [...new Set(status)].sort();
  const own = isOperator(caller) ? undefined : caller.userId;
  return { statuses, orderId, customerId, own, amountMin, amountMax, createdFrom, createdTo };
}
