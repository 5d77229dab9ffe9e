import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsText, MayBeAbsent } from '@twinbox/fields';
import { type LetterBox, type LetterFilter } from '@twinbox/messaging';
import { IsIn, Matches } from 'class-validator';
import { CursorPageQuery } from '../http/pages.js';
import { problemOf } from '../http/problem.js';
import { QueryTime } from '../http/query-fields.js';
import { adminProblems } from './admin-problems.js';

const BOXES = ['inbox', 'outbox'] as const;

export class LetterParams {
  @ApiProperty({ enum: BOXES, example: 'inbox' })
  @IsIn(BOXES)
  readonly box!: LetterBox;

  @ApiProperty({ example: '17', description: 'The id of the letter within its box.' })
  @Matches(/^-?\d{1,18}$/, { message: '$property must be the id of a letter' })
  readonly id!: string;
}

export class LetterListQuery extends CursorPageQuery {
  @ApiProperty({ enum: BOXES, example: 'inbox' })
  @IsIn(BOXES)
  readonly box!: LetterBox;

  @ApiPropertyOptional({ example: 'payment-service', description: 'Inbox only: the consumer group.' })
  @MayBeAbsent()
  @IsText(1, 255)
  readonly consumer?: string;

  @ApiPropertyOptional({ example: 'order', description: 'Outbox only.' })
  @MayBeAbsent()
  @IsText(1, 255)
  readonly aggregateType?: string;

  @ApiPropertyOptional({ example: 'OrderPlaced' })
  @MayBeAbsent()
  @IsText(1, 255)
  readonly type?: string;

  @ApiPropertyOptional({
    example: '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d',
    description: 'The key of the message: the id of the aggregate.',
  })
  @MayBeAbsent()
  @IsText(1, 1020)
  readonly key?: string;

  @ApiPropertyOptional({ format: 'date-time', example: '2026-11-21', description: 'At this time or later.' })
  @QueryTime('from')
  readonly diedAfter?: Date;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-22T18:30:00Z',
    description: 'Earlier than this time. A date alone means the start of that day in UTC.',
  })
  @QueryTime('from')
  readonly diedBefore?: Date;

  @ApiPropertyOptional({
    enum: ['newest', 'oldest'],
    default: 'newest',
    example: 'newest',
    description: 'Which letters come first, by the time of their death.',
  })
  @MayBeAbsent()
  @IsIn(['newest', 'oldest'])
  readonly order: 'newest' | 'oldest' = 'newest';
}

/** Returns the filter of a query. @throws ProblemException 422 if it filters by a field that letters of the box do not have */
export function letterFilterOf(query: LetterListQuery): LetterFilter {
  const { box, consumer, aggregateType, type, key, diedAfter, diedBefore } = query;
  const foreign = box === 'outbox' ? { consumer } : { aggregateType };
  for (const [filter, value] of Object.entries(foreign))
    if (value !== undefined) throw problemOf({ code: 'dead-letter-filter-unknown', box, filter }, adminProblems);
  return { box, consumer, aggregateType, type, key, diedAfter, diedBefore };
}
