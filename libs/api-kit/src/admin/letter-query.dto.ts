import { ApiProperty, ApiPropertyOptional, PickType } from '@nestjs/swagger';
import { IsText, MayBeAbsent } from '@twinbox/fields';
import { type LetterBox, type LetterFilter } from '@twinbox/messaging';
import { IsIn, Matches } from 'class-validator';
import { problemOf } from '../http/problem.js';
import { AN_ID } from './admin-fields.js';
import { adminProblems } from './admin-problems.js';
import { DeadListQuery } from './dead-query.dto.js';

const BOXES = ['inbox', 'outbox'] as const;
/** In bytes, of the longest readable key. */
const MAX_KEY = 1020;

export class LetterParams {
  @ApiProperty({ enum: BOXES, example: 'inbox' })
  @IsIn(BOXES)
  readonly box!: LetterBox;

  @ApiProperty({ example: '17', description: 'The id of the letter within its box.' })
  @Matches(/^-?\d{1,18}$/, { message: '$property must be the id of a letter' })
  readonly id!: string;
}

export class LetterListQuery extends DeadListQuery {
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

  @ApiPropertyOptional({ example: 'order.events' })
  @MayBeAbsent()
  @IsText(1, 255)
  readonly topic?: string;

  @ApiPropertyOptional({ example: 'OrderPlaced' })
  @MayBeAbsent()
  @IsText(1, 255)
  readonly type?: string;

  @ApiPropertyOptional({
    example: AN_ID,
    description: 'The key of the message: the id of the aggregate.',
  })
  @MayBeAbsent()
  @IsText(1, MAX_KEY)
  readonly key?: string;
}

const FILTERS = [
  'box',
  'consumer',
  'aggregateType',
  'topic',
  'type',
  'key',
  'cause',
  'diedAfter',
  'diedBefore',
] as const;

export class LetterFilterQuery extends PickType(LetterListQuery, FILTERS) {}

/** Returns the filter of a query. @throws ProblemException 422 if it filters by a field that letters of the box do not have */
export function letterFilterOf(query: LetterFilterQuery): LetterFilter {
  const { box, consumer, aggregateType, topic, type, key, cause, diedAfter, diedBefore } = query;
  const foreign = box === 'outbox' ? { consumer } : { aggregateType };
  for (const [filter, value] of Object.entries(foreign))
    if (value !== undefined) throw problemOf({ code: 'dead-letter-filter-unknown', box, filter }, adminProblems);
  return { box, consumer, aggregateType, topic, type, key, cause, diedAfter, diedBefore };
}
