import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ApiConstraint, IsAmount, IsText, IsWholeNumber, MayBeAbsent, MayBeAbsentOrNull } from '@twinbox/api-kit';
import { Type } from 'class-transformer';
import { ArrayMaxSize, ArrayMinSize, IsArray, IsBoolean, Matches, ValidateIf, ValidateNested } from 'class-validator';
import { MAX_PIECES, MAX_PRODUCTS } from '../../domain/cart.js';
import { IsProductId } from './is-product-id.js';
import { OrderParams } from './order.dto.js';

const MAX_PIECES_PER_LINE = 10_000;

class SeenPriceDto {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    example: 890,
    description:
      'The unit price you expect, in minor units. If the current price differs, the request is rejected with 409.',
  })
  @MayBeAbsent()
  @IsAmount()
  readonly unitPrice?: number;
}

export class OrderItemParams extends OrderParams {
  @IsProductId()
  readonly productId!: string;
}

export class OrderLineDto extends SeenPriceDto {
  @IsProductId()
  readonly productId!: string;

  @ApiProperty({ example: 2, type: 'integer', minimum: 1, maximum: MAX_PIECES_PER_LINE })
  @IsWholeNumber(1, MAX_PIECES_PER_LINE)
  readonly quantity!: number;
}

// Only a draft may be empty.
@ApiConstraint({
  anyOf: [
    { properties: { draft: { const: true } }, required: ['draft'] },
    { properties: { items: { minItems: 1 } }, required: ['items'] },
  ],
})
export class NewOrderDto {
  @ApiPropertyOptional({ example: false, default: false, description: 'Open a cart without placing it.' })
  @MayBeAbsent()
  @IsBoolean()
  readonly draft?: boolean;

  @ApiPropertyOptional({
    type: [OrderLineDto],
    maxItems: MAX_PRODUCTS,
    description: 'Lines for the same product are merged. A draft may be empty.',
  })
  @ValidateIf(({ draft, items }: NewOrderDto) => !(draft === true && (items === undefined || isEmpty(items))))
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_PRODUCTS)
  @ValidateNested({ each: true })
  @Type(() => OrderLineDto)
  readonly items?: OrderLineDto[];

  @ApiPropertyOptional({ type: String, nullable: true, example: 'Leave it at the back door.', maxLength: 500 })
  @MayBeAbsentOrNull()
  @IsText(0, 500)
  readonly description?: string;
}

function isEmpty(items: unknown): boolean {
  return Array.isArray(items) && items.length === 0;
}

export class ChangeItemDto extends SeenPriceDto {
  @ApiProperty({ example: 3, type: 'integer', minimum: 1, maximum: MAX_PIECES, description: 'The new quantity.' })
  @IsWholeNumber(1, MAX_PIECES)
  readonly quantity!: number;
}

class ExpectedPriceDto {
  @IsProductId()
  readonly productId!: string;

  @ApiProperty({ type: 'integer', minimum: 1, example: 890 })
  @IsAmount()
  readonly unitPrice!: number;
}

export class PlaceDraftDto {
  @ApiPropertyOptional({
    type: [ExpectedPriceDto],
    maxItems: MAX_PRODUCTS,
    description:
      'Unit prices you expect, for any of the items. If a current price differs, the request is rejected with 409.',
  })
  @MayBeAbsent()
  @IsArray()
  @ArrayMaxSize(MAX_PRODUCTS)
  @ValidateNested({ each: true })
  @Type(() => ExpectedPriceDto)
  readonly items?: ExpectedPriceDto[];
}

export class CancelOrderDto {
  @ApiProperty({ example: 'Ordered twice.', minLength: 1, maxLength: 500, description: 'A human-readable reason.' })
  @IsText(1, 500)
  @Matches(/\S/, { message: 'reason must not be blank' })
  readonly reason!: string;
}
