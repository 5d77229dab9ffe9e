import { ApiProperty } from '@nestjs/swagger';
import { type Incident, type IncidentKind } from '@twinbox/messaging';
import { Matches } from 'class-validator';
import { AT } from './admin-fields.js';

const KINDS = ['positions-went-back', 'offsets-went-back', 'messages-missed'] as const;

export class IncidentParams {
  @ApiProperty({ example: '3' })
  @Matches(/^\d{1,18}$/, { message: '$property must be the id of an incident' })
  readonly id!: string;
}

export class IncidentDto implements Incident {
  @ApiProperty({ example: '3' })
  readonly id!: string;

  @ApiProperty({
    enum: KINDS,
    example: 'messages-missed',
    description:
      '`positions-went-back`: the outbox or its sequence was reset. `offsets-went-back`: the offset of a partition is lower in the ' +
      'database than in Kafka. `messages-missed`: Kafka deleted messages before the consumer read them.',
  })
  readonly kind!: IncidentKind;

  @ApiProperty({ example: 'payment-service order.events-0', description: 'The outbox, or a partition of a consumer.' })
  readonly subject!: string;

  @ApiProperty({
    example: 'Kafka deleted 20 messages before they were read.',
    description: 'What happened, and what to do.',
  })
  readonly problem!: string;

  @ApiProperty({ type: 'object', additionalProperties: true, example: { missed: 20 } })
  readonly detail!: Readonly<Record<string, unknown>>;

  @ApiProperty({ type: 'integer', minimum: 1, example: 1, description: 'How often it was reported.' })
  readonly occurrences!: number;

  @ApiProperty({ format: 'date-time', example: AT })
  readonly firstAt!: string;

  @ApiProperty({ format: 'date-time', example: AT })
  readonly lastAt!: string;
}

export class IncidentListDto {
  @ApiProperty({ type: [IncidentDto], description: 'The open ones, oldest first, at most 100.' })
  readonly items!: readonly IncidentDto[];
}
