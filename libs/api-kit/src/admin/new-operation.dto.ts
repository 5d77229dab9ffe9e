import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsId, IsText, IsTime, MayBeAbsent } from '@twinbox/fields';
import { type OperationState } from '@twinbox/messaging';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsNumber,
  IsObject,
  Matches,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';
import { CursorPageQuery } from '../http/pages.js';
import { AN_ID } from './admin-fields.js';
import { OPERATION_STATES } from './operation.dto.js';
import { OptionalReasonDto } from './reason.dto.js';

const KINDS = ['retry-letters', 'discard-letters', 'retry-jobs', 'discard-jobs', 'replay'] as const;
const POSITION = /^\d{1,16}$/;
/** A body has at most 500 values. */
const MAX_IDS = 400;

const optional = (example: unknown, description: string) => ApiPropertyOptional({ example, description });

export class OperationParams {
  @ApiProperty({ format: 'uuid', example: AN_ID })
  @IsId()
  readonly id!: string;
}

export class OperationListQuery extends CursorPageQuery {
  @ApiPropertyOptional({ enum: OPERATION_STATES, example: 'running' })
  @MayBeAbsent()
  @IsIn(OPERATION_STATES)
  readonly state?: OperationState;
}

/** Selects the items that match all given fields. Which fields there are depends on the kind. */
export class NewOperationFilterDto {
  @ApiPropertyOptional({ example: false, description: 'Everything, instead of the other fields.' })
  @MayBeAbsent()
  @IsBoolean()
  readonly all?: boolean;

  @ApiPropertyOptional({ enum: ['inbox', 'outbox'], example: 'inbox', description: 'Letters; required for them.' })
  @MayBeAbsent()
  @IsIn(['inbox', 'outbox'])
  readonly box?: 'inbox' | 'outbox';

  @ApiPropertyOptional({ type: [String], example: ['17'], description: 'Ids of letters or jobs.' })
  @MayBeAbsent()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_IDS)
  @IsText(1, 40, { each: true })
  readonly ids?: readonly string[];

  @optional('payment-service', 'Letters of the inbox: the consumer group.')
  @MayBeAbsent()
  @IsText(1, 255)
  readonly consumer?: string;

  @optional('order', 'Letters of the outbox, or a replay.')
  @MayBeAbsent()
  @IsText(1, 255)
  readonly aggregateType?: string;

  @optional(AN_ID, 'A replay.')
  @MayBeAbsent()
  @IsText(1, 255)
  readonly aggregateId?: string;

  @optional('order.events', 'Letters.')
  @MayBeAbsent()
  @IsText(1, 255)
  readonly topic?: string;

  @optional('OrderPlaced', 'Letters or a replay.')
  @MayBeAbsent()
  @IsText(1, 255)
  readonly type?: string;

  @optional(AN_ID, 'Letters: the id of the aggregate.')
  @MayBeAbsent()
  @IsText(1, 1020)
  readonly key?: string;

  @optional('notifications', 'Jobs.')
  @MayBeAbsent()
  @IsText(1, 255)
  readonly queue?: string;

  @optional('TypeError: Cannot read the total of order #', 'Letters or jobs: one of the causes.')
  @MayBeAbsent()
  @IsText(1, 1000)
  readonly cause?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-30T00:00:00Z',
    description: 'Letters or jobs that died at this time or later.',
  })
  @MayBeAbsent()
  @IsTime()
  readonly diedAfter?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-12-01T00:00:00Z',
    description: 'Letters or jobs that died before this time.',
  })
  @MayBeAbsent()
  @IsTime()
  readonly diedBefore?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-30T00:00:00Z',
    description: 'A replay: messages that were added at this time or later.',
  })
  @MayBeAbsent()
  @IsTime()
  readonly createdAfter?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-12-01T00:00:00Z',
    description: 'A replay: messages that were added before this time.',
  })
  @MayBeAbsent()
  @IsTime()
  readonly createdBefore?: string;

  @optional('4711', 'A replay: the lowest position in the outbox.')
  @MayBeAbsent()
  @Matches(POSITION, { message: '$property must be a position in the outbox' })
  readonly fromPosition?: string;

  @optional('4720', 'A replay: the highest position in the outbox.')
  @MayBeAbsent()
  @Matches(POSITION, { message: '$property must be a position in the outbox' })
  readonly toPosition?: string;
}

export class NewOperationOptionsDto {
  @ApiPropertyOptional({
    example: true,
    description: 'Counts what the operation would handle and shows the first 20 items, and changes nothing.',
  })
  @MayBeAbsent()
  @IsBoolean()
  readonly dryRun?: boolean;

  @ApiPropertyOptional({
    format: 'date-time',
    example: '2026-11-30T23:45:00.123456Z',
    description: 'Handles only items from before this time, such as the one of a dry run. Default: now.',
  })
  @MayBeAbsent()
  @IsTime()
  readonly asOf?: string;

  @ApiPropertyOptional({
    example: false,
    description:
      'Retries: handles 1, 2, 5, 10 and more items a step, waits for them after each step, and stops at the first new failure.',
  })
  @MayBeAbsent()
  @IsBoolean()
  readonly canary?: boolean;

  @ApiPropertyOptional({
    type: 'number',
    minimum: 0.01,
    maximum: 100_000,
    example: 50,
    description: 'The most items a second, on average over some seconds.',
  })
  @MayBeAbsent()
  @IsNumber()
  @Min(0.01)
  @Max(100_000)
  readonly ratePerSecond?: number;

  @ApiPropertyOptional({ example: 'order.events.copy', description: 'Replay: publishes to this topic instead.' })
  @MayBeAbsent()
  @Matches(/^[\w.-]{1,249}$/, { message: '$property must be the name of a topic' })
  readonly topic?: string;

  @ApiPropertyOptional({
    example: false,
    description: 'Replay: publishes although consumers may no longer recognise the copies as duplicates.',
  })
  @MayBeAbsent()
  @IsBoolean()
  readonly force?: boolean;
}

export class NewOperationDto extends OptionalReasonDto {
  @ApiProperty({ enum: KINDS, example: 'retry-letters' })
  @IsIn(KINDS)
  readonly kind!: (typeof KINDS)[number];

  @ApiProperty({ type: NewOperationFilterDto, example: { box: 'inbox', type: 'OrderPlaced' } })
  @IsObject()
  @Type(() => NewOperationFilterDto)
  @ValidateNested()
  readonly filter!: NewOperationFilterDto;

  @ApiPropertyOptional({ type: NewOperationOptionsDto, example: { dryRun: true } })
  @MayBeAbsent()
  @IsObject()
  @Type(() => NewOperationOptionsDto)
  @ValidateNested()
  readonly options?: NewOperationOptionsDto;
}
