import { ApiProperty, PickType } from '@nestjs/swagger';
import { type Blocker, type ParkedMessage, type WholeParkedMessage } from '@twinbox/messaging';
import { ApiNextCursor } from '../http/pages.js';
import { AN_ID, AT, textOrNull } from './admin-fields.js';
import { LetterListQuery } from './letter-query.dto.js';
import { FailedAttemptDto, textIn } from './letter.dto.js';

export class ParkedListQuery extends PickType(LetterListQuery, [
  'box',
  'consumer',
  'topic',
  'type',
  'key',
  'limit',
  'cursor',
] as const) {}

class BlockerDto implements Blocker {
  @ApiProperty({ example: '16' })
  readonly id!: string;

  @ApiProperty({ example: true, description: 'Whether an operator has to retry or discard it.' })
  readonly dead!: boolean;
}

export class ParkedMessageDto implements ParkedMessage {
  @ApiProperty({ enum: ['inbox', 'outbox'], example: 'inbox' })
  readonly box!: 'inbox' | 'outbox';

  @ApiProperty({ example: '17', description: 'The id within its box.' })
  readonly id!: string;

  @textOrNull('01939d3d-1c77-7e0b-a3a1-5d0c2b7e9f10')
  readonly messageId!: string | null;

  @textOrNull('OrderPlaced')
  readonly type!: string | null;

  @textOrNull(AN_ID)
  readonly key!: string | null;

  @textOrNull('payment-service', 'The consumer group; null in the outbox.')
  readonly consumer!: string | null;

  @textOrNull('order.events')
  readonly topic!: string | null;

  @ApiProperty({ type: 'integer', minimum: 0, example: 2 })
  readonly attempts!: number;

  @textOrNull('Error: the gateway is away', 'Why the last attempt failed; null if there was none.')
  readonly error!: string | null;

  @ApiProperty({ format: 'date-time', example: AT })
  readonly since!: Date;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: AT,
    description: 'When it is attempted again; null while it waits for another message, and in the outbox.',
  })
  readonly nextAttemptAt!: Date | null;

  @ApiProperty({
    type: BlockerDto,
    nullable: true,
    description: 'The first message of its key, if this one waits for it.',
  })
  readonly waitsFor!: BlockerDto | null;
}

export class WholeParkedMessageDto extends ParkedMessageDto {
  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'string' },
    nullable: true,
    example: { ce_type: 'OrderPlaced' },
    description: 'The headers of the record; null in the outbox.',
  })
  readonly headers!: Readonly<Record<string, string>> | null;

  @textOrNull('{"total":900}', 'The value as text; null if it is not UTF-8 or there is none.')
  readonly payload!: string | null;

  @textOrNull('eyJ0b3RhbCI6OTAwfQ==', 'The value, unchanged, as base64.')
  readonly rawValue!: string | null;

  @ApiProperty({ type: [FailedAttemptDto] })
  readonly history!: readonly FailedAttemptDto[];
}

export class ParkedPageDto {
  @ApiProperty({ type: [ParkedMessageDto] })
  readonly items!: readonly ParkedMessageDto[];

  @ApiNextCursor()
  readonly nextCursor!: string | null;
}

export function parkedDtoOf({ value, ...message }: WholeParkedMessage): WholeParkedMessageDto {
  return { ...message, payload: value && textIn(value), rawValue: value?.toString('base64') ?? null };
}
