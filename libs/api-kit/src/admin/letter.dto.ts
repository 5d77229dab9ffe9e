import { ApiExtraModels, ApiProperty, getSchemaPath } from '@nestjs/swagger';
import {
  type FailedAttempt,
  type InboxLetter,
  type OutboxLetter,
  type WholeInboxLetter,
  type WholeOutboxLetter,
} from '@twinbox/messaging';
import { ApiNextCursor } from '../http/pages.js';
import { AN_ID, AT, textOrNull } from './admin-fields.js';

const MESSAGE_ID = '01939d3d-1c77-7e0b-a3a1-5d0c2b7e9f10';

export class FailedAttemptDto implements FailedAttempt {
  @ApiProperty({ format: 'date-time', example: AT })
  readonly at!: Date;

  @ApiProperty({ example: 'TypeError: Cannot read the total', description: 'Its first 1,000 characters.' })
  readonly error!: string;
}

class LetterDto {
  @ApiProperty({ example: '17', description: 'The id of the letter within its box.' })
  readonly id!: string;

  @ApiProperty({ example: 'TypeError: Cannot read the total', description: 'Of the last attempt.' })
  readonly error!: string;

  @ApiProperty({ format: 'date-time', example: AT })
  readonly diedAt!: Date;
}

export class OutboxLetterDto extends LetterDto implements OutboxLetter {
  @ApiProperty({ enum: ['outbox'], example: 'outbox' })
  readonly box!: 'outbox';

  @ApiProperty({ example: MESSAGE_ID })
  readonly messageId!: string;

  @ApiProperty({ example: 'OrderPlaced' })
  readonly type!: string;

  @ApiProperty({ example: AN_ID, description: 'The id of the aggregate.' })
  readonly key!: string;

  @ApiProperty({ example: 'order' })
  readonly aggregateType!: string;

  @textOrNull('order.events', 'Null if the service does not publish such messages any more.')
  readonly topic!: string | null;

  @ApiProperty({ example: '2', description: 'The version of the aggregate that raised the event.' })
  readonly sequence!: string;
}

export class InboxLetterDto extends LetterDto implements InboxLetter {
  @ApiProperty({ enum: ['inbox'], example: 'inbox' })
  readonly box!: 'inbox';

  @textOrNull(MESSAGE_ID, 'This and other fields are null if they could not be read.')
  readonly messageId!: string | null;

  @textOrNull('/order-service')
  readonly source!: string | null;

  @textOrNull('OrderPlaced')
  readonly type!: string | null;

  @textOrNull(AN_ID, 'As text, at most the first 1,020 bytes.')
  readonly key!: string | null;

  @ApiProperty({ example: 'payment-service', description: 'The consumer group.' })
  readonly consumer!: string;

  @ApiProperty({ example: 'order.events' })
  readonly topic!: string;

  @ApiProperty({ type: 'integer', example: 0 })
  readonly partition!: number;

  @ApiProperty({ example: '4711' })
  readonly offset!: string;

  @ApiProperty({
    type: 'integer',
    example: 5,
    description: 'Failed attempts that counted; 0 if the message could not be read.',
  })
  readonly attempts!: number;
}

@ApiExtraModels(InboxLetterDto, OutboxLetterDto)
export class LetterPageDto {
  @ApiProperty({
    type: 'array',
    items: { oneOf: [{ $ref: getSchemaPath(InboxLetterDto) }, { $ref: getSchemaPath(OutboxLetterDto) }] },
  })
  readonly items!: readonly (InboxLetterDto | OutboxLetterDto)[];

  @ApiNextCursor()
  readonly nextCursor!: string | null;
}

const history = (description: string) => ApiProperty({ type: [FailedAttemptDto], description });

const waiting = () =>
  ApiProperty({
    type: 'integer',
    minimum: 0,
    example: 2,
    description: 'How many messages of its key wait behind it, not counting dead letters.',
  });

export class WholeOutboxLetterDto extends OutboxLetterDto implements WholeOutboxLetter {
  @ApiProperty({ example: 'urn:event:OrderPlaced:1' })
  readonly dataschema!: string;

  @ApiProperty({ example: '{"total":900}', description: 'The JSON text that would be published.' })
  readonly payload!: string;

  @ApiProperty({ format: 'date-time', example: AT })
  readonly createdAt!: Date;

  @history('The rejection by Kafka.')
  readonly history!: readonly FailedAttemptDto[];

  @waiting()
  readonly waiting!: number;
}

export class WholeInboxLetterDto extends InboxLetterDto {
  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'string' },
    example: { ce_type: 'OrderPlaced', ce_id: MESSAGE_ID },
  })
  readonly headers!: Readonly<Record<string, string>>;

  @textOrNull('MDE5MzlkM2M=', 'The key of the record, unchanged, as base64.')
  readonly rawKey!: string | null;

  @textOrNull('{"total":900}', 'The value of the record as text; null if it is not UTF-8 or the record has none.')
  readonly payload!: string | null;

  @textOrNull('eyJ0b3RhbCI6OTAwfQ==', 'The value of the record, unchanged, as base64.')
  readonly rawValue!: string | null;

  @ApiProperty({ format: 'date-time', example: AT, description: 'The timestamp of the record.' })
  readonly recordedAt!: Date;

  @ApiProperty({ format: 'date-time', example: AT })
  readonly parkedAt!: Date;

  @history('The latest 20 failures, the newest last, also those before a retry and those of the environment.')
  readonly history!: readonly FailedAttemptDto[];

  @waiting()
  readonly waiting!: number;
}

/** Shows bytes as text where they are text, and otherwise as base64. */
export function inboxLetterDtoOf({ rawKey, value, ...letter }: WholeInboxLetter): WholeInboxLetterDto {
  return {
    ...letter,
    rawKey: rawKey?.toString('base64') ?? null,
    payload: value && textIn(value),
    rawValue: value?.toString('base64') ?? null,
  };
}

/** Returns the text of bytes that are UTF-8. */
export function textIn(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
