import { ApiProperty } from '@nestjs/swagger';
import {
  type DryRun,
  type OperationFilter,
  type OperationOptions,
  type OperationState,
  type StoredOperation,
} from '@twinbox/messaging';
import { ApiNextCursor } from '../http/pages.js';
import { AN_ID, AT, count, textOrNull } from './admin-fields.js';

export const OPERATION_STATES = ['running', 'done', 'stopped', 'cancelled', 'failed'] as const;
const AS_OF = '2026-11-30T23:45:00.123456Z';

export class OperationDto implements StoredOperation {
  @ApiProperty({ format: 'uuid', example: AN_ID })
  readonly id!: string;

  @ApiProperty({ example: 'retry-letters' })
  readonly kind!: string;

  @ApiProperty({ type: 'object', additionalProperties: true, example: { box: 'inbox', type: 'OrderPlaced' } })
  readonly filter!: OperationFilter;

  @ApiProperty({ example: AS_OF, description: 'Only items from before this time are handled.' })
  readonly asOf!: string;

  @ApiProperty({ type: 'object', additionalProperties: true, example: { canary: true } })
  readonly options!: OperationOptions;

  @ApiProperty({
    enum: OPERATION_STATES,
    example: 'running',
    description: '`stopped`: the canary found a new failure. `failed`: the operation could not go on.',
  })
  readonly state!: OperationState;

  @count(120, 'The number of items when the operation was created.')
  readonly total!: number;

  @ApiProperty({ example: true, description: 'Whether `total` is exact. If not, more items may be handled.' })
  readonly totalIsExact!: boolean;

  @count(
    20,
    'The number of items handled. At the end it is lower than `total` if somebody else has handled items meanwhile.',
  )
  readonly done!: number;

  @count(0, 'The number of items that failed, or, with a canary, failed again.')
  readonly failed!: number;

  @count(0, 'With a canary: for how many items of the last step the operation waits.')
  readonly waitingFor!: number;

  @textOrNull(null, 'Why the operation has ended, or what delays it.')
  readonly problem!: string | null;

  @textOrNull(null)
  readonly cancelledBy!: string | null;

  @ApiProperty({ example: 'root' })
  readonly actor!: string;

  @textOrNull('The handler is fixed.')
  readonly reason!: string | null;

  @ApiProperty({ format: 'date-time', example: AT })
  readonly createdAt!: Date;

  @ApiProperty({ format: 'date-time', example: AT })
  readonly updatedAt!: Date;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  readonly finishedAt!: Date | null;
}

export class OperationPageDto {
  @ApiProperty({ type: [OperationDto], description: 'The newest first.' })
  readonly items!: readonly OperationDto[];

  @ApiNextCursor()
  readonly nextCursor!: string | null;
}

export class DryRunDto implements DryRun {
  @ApiProperty({ example: AS_OF, description: 'With this in its options, an operation applies to the same items.' })
  readonly asOf!: string;

  @count(120, 'The number of items that the operation would handle.')
  readonly total!: number;

  @ApiProperty({
    example: true,
    description:
      'Whether `total` is exact. If not, there are at least so many: up to 100,000 are counted, and fewer if the filter has a `cause` or ' +
      'selects few of many messages.',
  })
  readonly totalIsExact!: boolean;

  @ApiProperty({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    example: [{ box: 'inbox', id: '17', type: 'OrderPlaced' }],
    description: 'Up to 20 of them, without their payloads.',
  })
  readonly first!: readonly object[];
}
