import { Body, Controller, Get, Param, Put, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import {
  AnonymousAllowed,
  type Answer,
  ApiProblems,
  Caller,
  conditionalResponse,
  OptionalCaller,
  Preconditions,
  RequireRole,
} from '@twinbox/api-kit';
import { type FastifyReply } from 'fastify';
import { productProblems } from './product-problems.js';
import { etagOfProduct, ProductRequests } from './product-requests.js';
import { ProductDto, ProductPageDto, ProductPageQuery, ProductParams, PutProductDto } from './product.dto.js';

@ApiTags('products')
@Controller('products')
export class ProductsController {
  constructor(private readonly requests: ProductRequests) {}

  @Get()
  @AnonymousAllowed()
  @ApiOperation({ operationId: 'listProducts', summary: 'List the products, sorted by id' })
  @ApiOkResponse({ type: ProductPageDto })
  async list(@Query() query: ProductPageQuery, @OptionalCaller() caller: Caller | undefined): Promise<ProductPageDto> {
    return this.requests.list(query, caller);
  }

  @Get(':productId')
  @AnonymousAllowed()
  @ApiOperation({ operationId: 'getProduct', summary: 'Get a product' })
  @ApiOkResponse({ type: ProductDto })
  @ApiProblems(productProblems, 'product-not-found')
  async get(
    @Param() { productId }: ProductParams,
    @OptionalCaller() caller: Caller | undefined,
    @Preconditions() preconditions: Preconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ProductDto | undefined> {
    const product = await this.requests.find(productId, caller);
    return conditionalResponse(reply, preconditions, etagOfProduct(product), product);
  }

  @Put(':productId')
  @RequireRole('operator')
  @ApiOperation({ operationId: 'putProduct', summary: 'Add a product, or replace its name, price and stock' })
  @ApiOkResponse({ type: ProductDto })
  @ApiCreatedResponse({ type: ProductDto })
  @ApiProblems(productProblems, 'version-conflict', 'stock-reserved')
  async put(
    @Param() { productId }: ProductParams,
    @Body() body: PutProductDto,
    @Caller() caller: Caller,
    @Preconditions() preconditions: Preconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<ProductDto>> {
    const product = await this.requests.put(productId, body, { caller, preconditions, answer: reply });
    reply.status(product.version === 1 ? 201 : 200);
    return product;
  }
}
