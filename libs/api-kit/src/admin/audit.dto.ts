import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsId, IsText, MayBeAbsent } from '@twinbox/fields';
import { type AuditEntry, type AuditOutcome } from '@twinbox/messaging';
import { IsIn, Matches } from 'class-validator';
import { ApiNextCursor, CursorPageQuery } from '../http/pages.js';
import { AN_ID, AT } from './admin-fields.js';

const OUTCOMES = ['done', 'refused'] as const;
const ENTRY_ID = String.raw`^\d{1,18}$`;

export class AuditQuery extends CursorPageQuery {
  @ApiPropertyOptional({ example: 'root' })
  @MayBeAbsent()
  @IsText(1, 255)
  readonly actor?: string;

  @ApiPropertyOptional({ example: 'retry' })
  @MayBeAbsent()
  @IsText(1, 20)
  readonly action?: string;

  @ApiPropertyOptional({ enum: OUTCOMES, example: 'done' })
  @MayBeAbsent()
  @IsIn(OUTCOMES)
  readonly outcome?: AuditOutcome;

  @ApiPropertyOptional({ example: '01939d3d-1c77-7e0b-a3a1-5d0c2b7e9f10', description: 'The id of a message.' })
  @MayBeAbsent()
  @IsText(1, 255)
  readonly messageId?: string;

  @ApiPropertyOptional({ format: 'uuid', example: AN_ID, description: 'The id of an operation.' })
  @MayBeAbsent()
  @IsId()
  readonly operation?: string;
}

export class AuditParams {
  @ApiProperty({ pattern: ENTRY_ID, example: '42' })
  @Matches(new RegExp(ENTRY_ID), { message: '$property must be the id of an entry of the audit' })
  readonly id!: string;
}

export class AuditEntryDto implements AuditEntry {
  @ApiProperty({ example: '42' })
  readonly id!: string;

  @ApiProperty({ format: 'date-time', example: AT })
  readonly at!: Date;

  @ApiProperty({ example: 'root' })
  readonly actor!: string;

  @ApiProperty({ example: 'retry' })
  readonly action!: string;

  @ApiProperty({
    example: 'inbox',
    description: '`inbox`, `outbox`, `jobs`, `operations`, `pauses`, `incidents` or `offsets`.',
  })
  readonly box!: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    example: { id: '17', type: 'OrderPlaced' },
    description: 'The affected letter, job or incident as it was then, without its payload.',
  })
  readonly letter!: Readonly<Record<string, unknown>>;

  @ApiProperty({ type: String, nullable: true, example: 'The handler is fixed.' })
  readonly reason!: string | null;

  @ApiProperty({
    enum: OUTCOMES,
    example: 'done',
    description:
      '`refused`: nothing was changed. The caller lacked the role, the operation is not possible, or the edit would not be accepted; ' +
      '`detail.problem` says which.',
  })
  readonly outcome!: AuditOutcome;

  @ApiProperty({
    type: String,
    format: 'uuid',
    nullable: true,
    example: AN_ID,
    description: "The operation that did it on the actor's behalf.",
  })
  readonly operation!: string | null;

  @ApiProperty({
    type: 'object',
    nullable: true,
    additionalProperties: true,
    example: null,
    description:
      'What else the action concerns, such as a filter and a count, or a payload before and after an edit. A list has `{ characters }` in ' +
      'place of more than 2,000 characters; a single entry has the whole.',
  })
  readonly detail!: Readonly<Record<string, unknown>> | null;
}

export class AuditPageDto {
  @ApiProperty({ type: [AuditEntryDto], description: 'The newest first.' })
  readonly items!: readonly AuditEntryDto[];

  @ApiNextCursor()
  readonly nextCursor!: string | null;
}
