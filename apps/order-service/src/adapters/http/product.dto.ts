import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ApiNextCursor, CursorPageQuery, IsAmount, IsText, IsWholeNumber, MayBeAbsent } from '@twinbox/api-kit';
import { currentCurrencies, formerCurrencies, IsPriceCurrency } from '@twinbox/contracts';
import { Matches } from 'class-validator';
import { type Product, type ProductFacts } from '../../domain/product.js';
import { IsProductId } from './is-product-id.js';
import { HasFewWords, MAX_WORDS } from './search-words.js';

export class ProductDto implements Product {
  @ApiProperty({ example: 'tea-earl-grey' })
  readonly id!: string;

  @ApiProperty({ example: 'Earl Grey, 100 g' })
  readonly name!: string;

  @ApiProperty({ type: 'integer', example: 890, description: 'Price of one piece in minor units of the currency.' })
  readonly price!: number;

  @ApiProperty({ example: 'EUR', description: 'ISO 4217.' })
  readonly currency!: string;

  @ApiProperty({ type: 'integer', example: 37, description: 'Pieces that can still be ordered.' })
  readonly available!: number;

  @ApiProperty({
    type: 'integer',
    example: 2,
    description: 'Increases with every PUT of the product. It is part of the ETag.',
  })
  readonly version!: number;

  @ApiProperty({ format: 'date-time', example: '2026-11-21T09:30:00.000Z' })
  readonly updatedAt!: Date;

  @ApiPropertyOptional({
    type: 'integer',
    example: 42,
    description: 'Pieces on the shelf, including those reserved by live orders. Only operators see it.',
  })
  readonly stock?: number;

  @ApiPropertyOptional({
    type: 'integer',
    example: 5,
    description: 'Pieces reserved by live orders. Only operators see it.',
  })
  readonly reserved?: number;
}

export class ProductPageDto {
  @ApiProperty({ type: [ProductDto] })
  readonly items!: readonly ProductDto[];

  @ApiNextCursor()
  readonly nextCursor!: string | null;
}

export class ProductParams {
  @IsProductId()
  readonly productId!: string;
}

export class ProductPageQuery extends CursorPageQuery {
  @ApiPropertyOptional({
    example: 'earl gr',
    maxLength: 100,
    description: `Words, or beginnings of words, of the name or the id. A product must match all of them. At most ${MAX_WORDS}.`,
  })
  @MayBeAbsent()
  @IsText(1, 100)
  @HasFewWords()
  readonly q?: string;
}

export class PutProductDto implements Omit<ProductFacts, 'productId'> {
  @ApiProperty({ example: 'Earl Grey, 100 g', minLength: 1, maxLength: 200 })
  @IsText(1, 200)
  @Matches(/\S/, { message: 'name must not be blank' })
  readonly name!: string;

  @ApiProperty({ type: 'integer', minimum: 1, example: 890, description: 'In minor units of the currency.' })
  @IsAmount()
  readonly price!: number;

  @ApiProperty({
    type: String,
    anyOf: [
      { enum: currentCurrencies() },
      {
        enum: formerCurrencies(),
        format: 'former-currency',
        description: 'Accepted only if the product already has this price in this currency.',
      },
    ],
    example: 'EUR',
    description:
      'ISO 4217. Must be legal tender, unless the product keeps its price in a currency that has been withdrawn.',
  })
  @IsPriceCurrency()
  readonly currency!: string;

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    maximum: 1_000_000_000,
    example: 42,
    description: 'Pieces on the shelf, including those reserved by live orders.',
  })
  @IsWholeNumber(0, 1_000_000_000)
  readonly stock!: number;
}
