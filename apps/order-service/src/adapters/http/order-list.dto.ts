import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { CursorPageQuery, IsText } from '@twinbox/api-kit';
import { Transform } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayNotEmpty,
  IsBoolean,
  IsIn,
  IsInt,
  isISO8601,
  IsOptional,
  Max,
  Min,
  ValidateBy,
} from 'class-validator';
import { ORDER_SORTS, type OrderSort } from '../../application/order-list.js';
import { ORDER_STATUSES, type OrderStatus } from '../../domain/order.js';
import { OrderDto } from './order.dto.js';

/** A whole number in digits: `1e3`, `0x10` and nothing at all are more likely slips. */
const Digits = () =>
  Transform(({ value }) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : Number.NaN));

const MinorUnits = (): PropertyDecorator => (target, key) => {
  for (const decorate of [IsOptional(), Digits(), IsInt(), Min(0), Max(Number.MAX_SAFE_INTEGER)]) decorate(target, key);
};

/** A date alone is its whole day in UTC: the range begins with its first millisecond, or ends with its last. */
const Moment = (end: 'from' | 'to'): PropertyDecorator => {
  const read = Transform(({ value }) => momentOf(value, end));
  const isMoment = ValidateBy({
    name: 'isMoment',
    validator: {
      validate: (value) => value instanceof Date,
      defaultMessage: (args) =>
        `${args?.property} must be an ISO 8601 date, or date and time with Z or an offset (+ as %2B)`,
    },
  });
  return (target, key) => {
    for (const decorate of [IsOptional(), read, isMoment]) decorate(target, key);
  };
};

const DAY_MS = 24 * 3600 * 1000;
const DATE = /^\d{4}-\d\d-\d\d$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/;

function momentOf(value: unknown, end: 'from' | 'to'): unknown {
  if (typeof value !== 'string' || !isISO8601(value, { strict: true })) return value;
  if (DATE.test(value)) return new Date(Date.parse(value) + (end === 'to' ? DAY_MS - 1 : 0));
  return TIME.test(value) ? new Date(value) : value;
}

export class OrderListQuery extends CursorPageQuery {
  @ApiPropertyOptional({
    enum: ORDER_STATUSES,
    isArray: true,
    example: ['PLACED', 'PAYMENT_PENDING'],
    description: 'Any of these: repeated, or with commas between.',
  })
  @IsOptional()
  @Transform(({ value }) =>
    [value].flat().flatMap((part: unknown) => (typeof part === 'string' ? part.split(',') : [part])),
  )
  @ArrayNotEmpty()
  @ArrayMaxSize(20)
  @IsIn(ORDER_STATUSES, { each: true })
  readonly status?: readonly OrderStatus[];

  @ApiPropertyOptional({ example: 'tea-earl-grey', description: 'Orders that have it among their items.' })
  @IsOptional()
  @IsText(1, 64)
  readonly productId?: string;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    example: 500,
    description:
      "In minor units, whatever the currency; so much or more. A draft's total is not fixed: with it there are no drafts.",
  })
  @MinorUnits()
  readonly totalMin?: number;

  @ApiPropertyOptional({ type: 'integer', minimum: 0, example: 5000, description: 'So much or less; like totalMin.' })
  @MinorUnits()
  readonly totalMax?: number;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-01',
    description: 'Created then or later. ISO 8601 with a time zone; a date alone begins at midnight UTC.',
  })
  @Moment('from')
  readonly createdFrom?: Date;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-21T18:30:00Z',
    description: 'Created then or before. ISO 8601 with a time zone; a date alone ends at midnight UTC.',
  })
  @Moment('to')
  readonly createdTo?: Date;

  @ApiPropertyOptional({
    type: Boolean,
    example: true,
    description: 'Late is what is PLACED for too long, or PAYMENT_PENDING past its time to live.',
  })
  @IsOptional()
  @Transform(({ value }) => (value === 'true' ? true : value === 'false' ? false : value))
  @IsBoolean()
  readonly late?: boolean;

  @ApiPropertyOptional({ example: 'demo', description: "For operators; of others' orders, customers find none." })
  @IsOptional()
  @IsText(1, 255)
  readonly customerId?: string;

  @ApiPropertyOptional({
    enum: ORDER_SORTS,
    default: '-created',
    example: '-created',
    description: '`-` begins with the newest or the largest. By total there are no drafts.',
  })
  @IsOptional()
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
