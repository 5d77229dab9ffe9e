import { ApiProperty, ApiPropertyOptional, PickType } from '@nestjs/swagger';
import { IsText, MayBeAbsent } from '@twinbox/fields';
import { type DeadJob, type WholeDeadJob } from '@twinbox/messaging';
import { IsUUID } from 'class-validator';
import { ApiNextCursor } from '../http/pages.js';
import { AN_ID, AT } from './admin-fields.js';
import { DeadListQuery } from './dead-query.dto.js';
import { FailedAttemptDto } from './letter.dto.js';

/** What `IsUUID` accepts. */
const UUID =
  '^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|00000000-0000-0000-0000-000000000000|' +
  '[fF]{8}-[fF]{4}-[fF]{4}-[fF]{4}-[fF]{12})$';

export class JobParams {
  // Of any version, because an id may be derived from another one, as that of a refund is.
  @ApiProperty({ format: 'uuid', pattern: UUID, example: AN_ID })
  @IsUUID()
  readonly id!: string;
}

export class DeadJobListQuery extends DeadListQuery {
  @ApiPropertyOptional({ example: 'notifications' })
  @MayBeAbsent()
  @IsText(1, 255)
  readonly queue?: string;
}

export class DeadJobFilterQuery extends PickType(DeadJobListQuery, ['queue', 'cause', 'diedAfter', 'diedBefore']) {}

export class DeadJobDto implements DeadJob {
  @ApiProperty({ format: 'uuid', example: AN_ID })
  readonly id!: string;

  @ApiProperty({ example: 'notifications' })
  readonly queue!: string;

  @ApiProperty({ type: 'integer', example: 8 })
  readonly attempts!: number;

  @ApiProperty({ example: 'Error: 550 no such user', description: 'Of the last attempt.' })
  readonly error!: string;

  @ApiProperty({ format: 'date-time', example: AT })
  readonly createdAt!: Date;

  @ApiProperty({ format: 'date-time', example: AT })
  readonly diedAt!: Date;
}

export class WholeDeadJobDto extends DeadJobDto implements WholeDeadJob {
  @ApiProperty({ description: 'What the job gets when it runs: any JSON.', example: { orderId: AN_ID } })
  readonly data!: unknown;

  @ApiProperty({
    type: [FailedAttemptDto],
    description: 'The latest 20 failures, the newest last, with attempts whose process crashed.',
  })
  readonly history!: readonly FailedAttemptDto[];
}

export class DeadJobPageDto {
  @ApiProperty({ type: [DeadJobDto] })
  readonly items!: readonly DeadJobDto[];

  @ApiNextCursor()
  readonly nextCursor!: string | null;
}
