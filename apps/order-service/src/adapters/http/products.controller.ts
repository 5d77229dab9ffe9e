import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiPropertyOptional, ApiTags } from '@nestjs/swagger';
import { IsText, PageQuery } from '@twinbox/api-kit';
import { IsOptional } from 'class-validator';
import { ProductStore } from '../../application/product-store.js';
import { type Product } from '../../domain/product.js';

class ProductDto implements Product {
  @ApiProperty({ example: 'tea-earl-grey' })
  readonly id!: string;

  @ApiProperty({ example: 'Earl Grey, 100 g' })
  readonly name!: string;

  @ApiProperty({ type: 'integer', example: 890, description: 'For one piece, in minor units of the currency.' })
  readonly price!: number;

  @ApiProperty({ example: 'EUR', description: 'ISO 4217.' })
  readonly currency!: string;
}

class ProductPageDto {
  @ApiProperty({ type: [ProductDto] })
  readonly items!: readonly ProductDto[];

  @ApiProperty({ type: String, nullable: true, example: null, description: 'The cursor of the next page.' })
  readonly nextCursor!: string | null;
}

class ProductPageQuery extends PageQuery {
  @ApiPropertyOptional({ example: 'mug-stoneware', description: 'The nextCursor of the page before.' })
  @IsOptional()
  @IsText(1, 64)
  readonly cursor?: string;
}

@ApiTags('products')
@Controller('products')
export class ProductsController {
  constructor(private readonly products: ProductStore) {}

  @Get()
  @ApiOperation({ summary: 'What the shop sells, by id' })
  @ApiOkResponse({ type: ProductPageDto })
  async list(@Query() { limit, cursor }: ProductPageQuery): Promise<ProductPageDto> {
    return this.products.list({ limit, cursor });
  }
}
