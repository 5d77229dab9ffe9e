import { ApiPropertyOptional } from '@nestjs/swagger';
import { Caller, CursorCodec, CursorPageQuery, isOperator, IsText } from '@twinbox/api-kit';
import { pageOf } from '@twinbox/kernel';
import { Transform } from 'class-transformer';
import { ArrayMaxSize, ArrayNotEmpty, IsDate, IsIn, IsInt, IsOptional, IsUUID, Max, Min } from 'class-validator';
import {
  PAYMENT_SORTS,
  type PaymentListing,
  type PaymentRequestFilter,
  type PaymentSort,
} from '../../application/payment-request-store.js';
import { PAYMENT_STATUSES, type PaymentRequest, type PaymentStatus } from '../../domain/payment-request.js';
import { ORDER_ID } from './payment-request.dto.js';

const MAX_AMOUNT = Number.MAX_SAFE_INTEGER;
const TIME = '$property must be a date and time with its offset, such as 2026-11-21T09:30:00Z';

export class PaymentRequestPageQuery extends CursorPageQuery {
  @ApiPropertyOptional({
    enum: PAYMENT_STATUSES,
    isArray: true,
    example: ['PENDING'],
    description: 'Any of these: named again, or with commas between.',
  })
  @IsOptional()
  @Transform(({ value }) => listIn(value))
  @ArrayNotEmpty()
  @ArrayMaxSize(2 * PAYMENT_STATUSES.length)
  @IsIn(PAYMENT_STATUSES, { each: true })
  readonly status?: readonly PaymentStatus[];

  @ApiPropertyOptional({ format: 'uuid', example: ORDER_ID })
  @IsOptional()
  @IsUUID('7')
  readonly orderId?: string;

  @ApiPropertyOptional({ example: 'demo', description: 'Customers find only their own, whatever they say here.' })
  @IsOptional()
  @IsText(1, 255)
  readonly customerId?: string;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    example: 500,
    description: 'In minor units, whatever the currency.',
  })
  @IsOptional()
  @Transform(({ value }) => wholeNumberIn(value))
  @IsInt()
  @Min(0)
  @Max(MAX_AMOUNT)
  readonly amountMin?: number;

  @ApiPropertyOptional({ type: 'integer', minimum: 0, example: 5000 })
  @IsOptional()
  @Transform(({ value }) => wholeNumberIn(value))
  @IsInt()
  @Min(0)
  @Max(MAX_AMOUNT)
  readonly amountMax?: number;

  @ApiPropertyOptional({ format: 'date-time', example: '2026-11-21T00:00:00Z', description: 'Created then or later.' })
  @IsOptional()
  @Transform(({ value }) => timeIn(value))
  @IsDate({ message: TIME })
  readonly createdFrom?: Date;

  @ApiPropertyOptional({ format: 'date-time', example: '2026-11-22T00:00:00Z', description: 'Created then or before.' })
  @IsOptional()
  @Transform(({ value }) => timeIn(value))
  @IsDate({ message: TIME })
  readonly createdTo?: Date;

  @ApiPropertyOptional({
    enum: PAYMENT_SORTS,
    default: '-created',
    example: '-created',
    description: 'With a minus: downwards.',
  })
  @IsOptional()
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

/** `?status=A&status=B` and `?status=A,B` are the same. */
function listIn(value: unknown): unknown {
  return [value].flat().flatMap((each: unknown) => (typeof each === 'string' ? each.split(',') : [each]));
}

// Number() would take '' for 0, and 0x10 for 16.
function wholeNumberIn(value: unknown): unknown {
  return typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
}

// Without an offset it would be another time on another machine.
function timeIn(value: unknown): Date {
  const isTime =
    typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(value);
  return new Date(isTime ? value : Number.NaN);
}
