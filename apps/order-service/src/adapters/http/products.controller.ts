import { Body, Controller, Get, Param, Put, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import {
  actorOf,
  AnonymousAllowed,
  ApiProblems,
  Caller,
  conditionalResponse,
  CursorCodec,
  etagOf,
  isOperator,
  type Answer,
  OptionalCaller,
  Preconditions,
  problemOf,
  RequireRole,
  UnitOfWork,
  validationProblem,
} from '@twinbox/api-kit';
import { type FastifyReply } from 'fastify';
import { ProductStore, type StockedProduct } from '../../application/product-store.js';
import { PutProduct } from '../../application/put-product.js';
import { productProblems } from './product-problems.js';
import { ProductDto, ProductPageDto, ProductPageQuery, ProductParams, PutProductDto } from './product.dto.js';

const cursors = new CursorCodec({ id: 'text' });

@ApiTags('products')
@Controller('products')
export class ProductsController {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly putProduct: PutProduct,
    private readonly products: ProductStore,
  ) {}

  @Get()
  @AnonymousAllowed()
  @ApiOperation({ summary: 'List the products, sorted by id' })
  @ApiOkResponse({ type: ProductPageDto })
  async list(
    @Query() { limit, cursor, q }: ProductPageQuery,
    @OptionalCaller() caller: Caller | undefined,
  ): Promise<ProductPageDto> {
    const scope = { q };
    const query = { search: q, limit, after: cursors.decode(cursor, scope)?.id };
    const page = await (isOperator(caller) ? this.stocked(query) : this.products.list(query));
    return { ...page, nextCursor: page.nextCursor === null ? null : cursors.encode({ id: page.nextCursor }, scope) };
  }

  @Get(':productId')
  @AnonymousAllowed()
  @ApiOperation({ summary: 'Get a product' })
  @ApiOkResponse({ type: ProductDto })
  @ApiProblems(productProblems, 'product-not-found')
  async get(
    @Param() { productId }: ProductParams,
    @OptionalCaller() caller: Caller | undefined,
    @Preconditions() preconditions: Preconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ProductDto | undefined> {
    const product = isOperator(caller)
      ? await this.products.findStocked(productId).then((found) => found && withStock(found))
      : await this.products.find(productId);
    if (!product) throw problemOf({ code: 'product-not-found', productId }, productProblems);
    return conditionalResponse(reply, preconditions, etagOfProduct(product), product);
  }

  @Put(':productId')
  @RequireRole('operator')
  @ApiOperation({ summary: 'Add a product, or replace its name, price and stock' })
  @ApiOkResponse({ type: ProductDto })
  @ApiCreatedResponse({ type: ProductDto })
  @ApiProblems(productProblems, 'version-conflict', 'stock-reserved')
  async put(
    @Param() { productId }: ProductParams,
    @Body() { name, price, currency, stock }: PutProductDto,
    @Caller() caller: Caller,
    @Preconditions() preconditions: Preconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<ProductDto>> {
    const product = await this.unitOfWork.run(undefined, async (tx) => {
      const facts = { productId, name, price, currency, stock };
      const decision = await this.putProduct.execute(tx, facts, preconditions.version, actorOf(caller));
      if (decision.accepted) return withStock(decision.state);
      const { rejection } = decision;
      if (rejection.code !== 'currency-not-current') throw problemOf(rejection, productProblems);
      const detail = `must be legal tender, such as EUR, because the price is new; ${rejection.currency} is not`;
      throw validationProblem([{ pointer: '#/currency', detail }]);
    });
    reply.status(product.version === 1 ? 201 : 200).header('etag', etagOfProduct(product));
    return product;
  }

  private async stocked(query: Parameters<ProductStore['listStocked']>[0]): Promise<ProductPageDto> {
    const page = await this.products.listStocked(query);
    return { ...page, items: page.items.map(withStock) };
  }
}

function withStock(product: StockedProduct): ProductDto {
  return { ...product, stock: product.available + product.reserved };
}

/** Includes the stock, because a sale changes it without a new version. */
function etagOfProduct({
  version,
  available,
  reserved,
}: Pick<ProductDto, 'version' | 'available' | 'reserved'>): string {
  return etagOf(version, reserved === undefined ? available : `${available}-${reserved}`);
}
