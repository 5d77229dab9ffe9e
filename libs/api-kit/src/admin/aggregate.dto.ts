import { ApiProperty } from '@nestjs/swagger';
import { IsText } from '@twinbox/fields';
import {
  type DiscardedMessage,
  type FoundRecord,
  type HeldMessage,
  type JobOfAggregate,
  type MessagesOfAggregate,
  type RaisedMessage,
} from '@twinbox/messaging';
import { Transform } from 'class-transformer';
import { ArrayMaxSize, ArrayNotEmpty, IsArray } from 'class-validator';
import { AN_ID, AT, textOrNull, time, timeOrNull } from './admin-fields.js';
import { FailedAttemptDto } from './letter.dto.js';

/** A query has at most 100 values, which leaves some for other parameters. */
const MAX_IDS = 90;

const attempts = () => ApiProperty({ type: 'integer', minimum: 0, example: 2 });

export class AggregateParams {
  @ApiProperty({ example: AN_ID, description: 'The id of the aggregate: the key of its messages.' })
  @IsText(1, 255)
  readonly id!: string;
}

class ConsumedDto {
  @ApiProperty({ example: 'order-service-notifications' })
  readonly consumer!: string;

  @time()
  readonly at!: Date;
}

class RaisedMessageDto implements RaisedMessage {
  @ApiProperty({ example: '4711' })
  readonly position!: string;

  @ApiProperty({ example: AN_ID })
  readonly id!: string;

  @ApiProperty({ example: 'order' })
  readonly aggregateType!: string;

  @ApiProperty({ example: 'OrderPlaced' })
  readonly type!: string;

  @ApiProperty({ example: '2' })
  readonly sequence!: string;

  @time()
  readonly createdAt!: Date;

  @ApiProperty({
    enum: ['published', 'unpublished', 'parked', 'dead'],
    example: 'published',
    description: '`parked`: it waits behind a dead letter of its key. `published` may come a second late.',
  })
  readonly state!: RaisedMessage['state'];

  @textOrNull('MESSAGE_TOO_LARGE')
  readonly error!: string | null;

  @timeOrNull()
  readonly diedAt!: Date | null;

  @ApiProperty({
    type: [ConsumedDto],
    description:
      'When consumers of this service recorded it. They have processed it unless it is in `held` or `discarded`.',
  })
  readonly consumed!: readonly ConsumedDto[];
}

class HeldMessageDto implements HeldMessage {
  @ApiProperty({ example: '17', description: 'The id of the parked message or dead letter in the inbox.' })
  readonly id!: string;

  @ApiProperty({ example: 'payment-service' })
  readonly consumer!: string;

  @ApiProperty({ example: 'order.events' })
  readonly topic!: string;

  @textOrNull(AN_ID)
  readonly messageId!: string | null;

  @textOrNull('OrderPlaced')
  readonly type!: string | null;

  @attempts()
  readonly attempts!: number;

  @textOrNull('Error: the gateway is away')
  readonly error!: string | null;

  @time()
  readonly parkedAt!: Date;

  @timeOrNull()
  readonly nextAttemptAt!: Date | null;

  @timeOrNull()
  readonly diedAt!: Date | null;

  @ApiProperty({ type: [FailedAttemptDto] })
  readonly history!: readonly FailedAttemptDto[];
}

class DiscardedMessageDto implements DiscardedMessage {
  @ApiProperty({ example: 'payment-service' })
  readonly consumer!: string;

  @textOrNull(AN_ID)
  readonly messageId!: string | null;

  @textOrNull('OrderPlaced')
  readonly type!: string | null;

  @time()
  readonly at!: Date;

  @ApiProperty({ example: 'ann', description: 'The operator who discarded it.' })
  readonly actor!: string;
}

class JobOfAggregateDto implements JobOfAggregate {
  @ApiProperty({ example: AN_ID })
  readonly id!: string;

  @ApiProperty({ example: 'charge' })
  readonly queue!: string;

  @attempts()
  readonly attempts!: number;

  @textOrNull('Error: the gateway is away')
  readonly error!: string | null;

  @time()
  readonly createdAt!: Date;

  @ApiProperty({ format: 'date-time', example: AT, description: 'When it runs next; or when its lease ends.' })
  readonly runAt!: Date;

  @ApiProperty({ example: false })
  readonly running!: boolean;

  @timeOrNull()
  readonly diedAt!: Date | null;

  @ApiProperty({ type: [FailedAttemptDto] })
  readonly history!: readonly FailedAttemptDto[];
}

export class MessagesOfAggregateDto implements MessagesOfAggregate {
  @ApiProperty({ type: [RaisedMessageDto], description: 'The messages in the outbox, oldest first.' })
  readonly raised!: readonly RaisedMessageDto[];

  @ApiProperty({ type: [HeldMessageDto], description: 'Parked messages and dead letters of the inbox.' })
  readonly held!: readonly HeldMessageDto[];

  @ApiProperty({
    type: [DiscardedMessageDto],
    description:
      'Messages that operators discarded from the inbox, as far as they are among the newest 5,000 entries of the audit.',
  })
  readonly discarded!: readonly DiscardedMessageDto[];

  @ApiProperty({ type: [JobOfAggregateDto], description: 'Jobs that are not done.' })
  readonly jobs!: readonly JobOfAggregateDto[];
}

export class InboxRecordQuery {
  @ApiProperty({
    type: 'array',
    items: { type: 'string', minLength: 1, maxLength: 255 },
    example: [AN_ID],
    minItems: 1,
    maxItems: MAX_IDS,
    description: `Ids of messages, at most ${MAX_IDS}. Repeat the parameter.`,
  })
  @Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? [value] : value), { toClassOnly: true })
  @IsArray()
  @ArrayNotEmpty()
  @ArrayMaxSize(MAX_IDS)
  @IsText(1, 255, { each: true })
  readonly messageId!: readonly string[];
}

class InboxRecordDto implements FoundRecord {
  @ApiProperty({ example: 'payment-service' })
  readonly consumer!: string;

  @ApiProperty({ example: '/order-service' })
  readonly source!: string;

  @ApiProperty({ example: AN_ID })
  readonly messageId!: string;

  @time()
  readonly receivedAt!: Date;
}

export class InboxRecordListDto {
  @ApiProperty({ type: [InboxRecordDto], description: 'The earliest first.' })
  readonly items!: readonly InboxRecordDto[];
}
