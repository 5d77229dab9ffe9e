import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsText, MayBeAbsent } from '@twinbox/fields';
import { IsIn } from 'class-validator';
import { CursorPageQuery } from '../http/pages.js';
import { QueryTime } from '../http/query-fields.js';

const MAX_CAUSE = 1000;

/** The part of a query that dead letters and dead jobs have in common. */
export class DeadListQuery extends CursorPageQuery {
  @ApiPropertyOptional({ example: 'TypeError: Cannot read the total of order #', description: 'One of the causes.' })
  @MayBeAbsent()
  @IsText(1, MAX_CAUSE)
  readonly cause?: string;

  @ApiPropertyOptional({ format: 'date-time', example: '2026-11-21', description: 'Died at this time or later.' })
  @QueryTime('from')
  readonly diedAfter?: Date;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-22T18:30:00Z',
    description: 'Died before this time. A date alone means the start of that day in UTC.',
  })
  @QueryTime('from')
  readonly diedBefore?: Date;

  @ApiPropertyOptional({
    enum: ['newest', 'oldest'],
    default: 'newest',
    example: 'newest',
    description: 'Which come first, by the time of death.',
  })
  @MayBeAbsent()
  @IsIn(['newest', 'oldest'])
  readonly order: 'newest' | 'oldest' = 'newest';
}
