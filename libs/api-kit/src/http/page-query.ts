import { ApiPropertyOptional } from '@nestjs/swagger';
import { QueryInt } from './query-fields.js';

/** The query of a paginated list. The list adds its `cursor`, because only the list knows what its ids look like. */
export class PageQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 100, default: 20, example: 20 })
  @QueryInt(1, 100)
  readonly limit: number = 20;
}
