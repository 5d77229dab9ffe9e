import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsText, MayBeAbsent } from '@twinbox/fields';
import { Matches } from 'class-validator';

const MAX_REASON = 2000;
const NOT_BLANK = /\S/;
const description = 'Why. It is kept in the audit.';

export class OptionalReasonDto {
  @ApiPropertyOptional({ example: 'The handler is fixed.', description })
  @MayBeAbsent()
  @IsText(1, MAX_REASON)
  @Matches(NOT_BLANK, { message: '$property must not be blank' })
  readonly reason?: string;
}

export class ReasonDto {
  @ApiProperty({ example: 'The order was a test.', description })
  @IsText(1, MAX_REASON)
  @Matches(NOT_BLANK, { message: '$property must not be blank' })
  readonly reason!: string;
}
