import { ApiProperty } from '@nestjs/swagger';
import { IsText } from '@twinbox/fields';
import { type Pause, type PauseKind } from '@twinbox/messaging';
import { IsIn } from 'class-validator';
import { AT } from './admin-fields.js';
import { OptionalReasonDto } from './reason.dto.js';

const KINDS = ['consumer', 'queue', 'relay'] as const;
const NAME = 'The consumer group, the name of the job queue, or `relay`.';

export class PauseParams {
  @ApiProperty({ enum: KINDS, example: 'relay' })
  @IsIn(KINDS)
  readonly kind!: PauseKind;

  @ApiProperty({ example: 'relay', description: NAME })
  @IsText(1, 255)
  readonly name!: string;
}

export class ResumeQuery extends OptionalReasonDto {}

export class PauseDto implements Pause {
  @ApiProperty({ enum: KINDS, example: 'queue' })
  readonly kind!: PauseKind;

  @ApiProperty({ example: 'notifications', description: NAME })
  readonly name!: string;

  @ApiProperty({ format: 'date-time', example: AT })
  readonly since!: Date;

  @ApiProperty({ example: 'root' })
  readonly actor!: string;

  @ApiProperty({ type: String, nullable: true, example: 'The mail server is being replaced.' })
  readonly reason!: string | null;
}

export class PauseListDto {
  @ApiProperty({ type: [PauseDto], description: 'By kind and name.' })
  readonly items!: readonly PauseDto[];
}

export class ResumedDto {
  @ApiProperty({ type: PauseDto, nullable: true, description: 'The pause that has ended; null if there was none.' })
  readonly ended!: PauseDto | null;
}
