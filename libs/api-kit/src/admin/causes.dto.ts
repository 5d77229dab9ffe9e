import { ApiProperty } from '@nestjs/swagger';
import { type CauseGroup, type Causes } from '@twinbox/messaging';
import { AT } from './admin-fields.js';

export class CauseGroupDto implements CauseGroup {
  @ApiProperty({
    example: 'TypeError: Cannot read the total of order #',
    description:
      'The beginning of the error text, with `…` for quoted values and `#` for ids and numbers. The filter `cause` takes it unchanged.',
  })
  readonly cause!: string;

  @ApiProperty({ type: 'integer', minimum: 1, example: 120 })
  readonly count!: number;

  @ApiProperty({ format: 'date-time', example: AT, description: 'When the first one died.' })
  readonly oldest!: Date;

  @ApiProperty({ format: 'date-time', example: '2026-11-30T23:52:00.000Z', description: 'When the last one died.' })
  readonly newest!: Date;

  @ApiProperty({
    type: 'array',
    items: { type: 'string', nullable: true },
    example: ['OrderPlaced'],
    description: 'The event types of the letters, null for those without one, or the queues of the jobs.',
  })
  readonly types!: readonly (string | null)[];
}

export class CausesDto implements Causes {
  @ApiProperty({ type: [CauseGroupDto], description: 'The most frequent first.' })
  readonly items!: readonly CauseGroupDto[];

  @ApiProperty({
    example: true,
    description:
      'False if there are more than 100 causes, or if only the newest matches are counted: at least 10,000, or those among 100,000.',
  })
  readonly complete!: boolean;
}
