import { Controller } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import {
  AnonymousAllowed,
  type Answer,
  type AnswerHeaders,
  AnswerMetadata,
  Caller,
  Exchange,
  Fields,
  OptionalCaller,
  pageQuery,
  QueryFields,
  RequireRole,
} from '@twinbox/api-kit';
import {
  type GetProductResponse,
  type ListProductsRequest,
  type ListProductsResponse,
  type Product,
  type PutProductRequest,
  type PutProductResponse,
} from '@twinbox/contracts/grpc/orders';
import { etagOfProduct, ProductRequests } from '../http/product-requests.js';
import { type ProductDto, ProductPageQuery, ProductParams, PutProductDto } from '../http/product.dto.js';

const SERVICE = 'ProductService';
const listQuery = (request: ListProductsRequest) => ({ ...pageQuery(request), q: request.q });
const facts = ({ price, ...rest }: PutProductRequest) => ({
  ...rest,
  price: price?.minorUnits,
  currency: price?.currency,
});

@Controller()
export class GrpcProductsController {
  constructor(private readonly requests: ProductRequests) {}

  @GrpcMethod(SERVICE)
  @AnonymousAllowed()
  async listProducts(
    @QueryFields(ProductPageQuery, listQuery) query: ProductPageQuery,
    @OptionalCaller() caller: Caller | undefined,
  ): Promise<ListProductsResponse> {
    const { items, nextCursor } = await this.requests.list(query, caller);
    return { products: items.map(productMessage), nextPageToken: nextCursor ?? '' };
  }

  @GrpcMethod(SERVICE)
  @AnonymousAllowed()
  async getProduct(
    @Fields(ProductParams) { productId }: ProductParams,
    @OptionalCaller() caller: Caller | undefined,
    @AnswerMetadata() answer: AnswerHeaders,
  ): Promise<GetProductResponse> {
    const product = await this.requests.find(productId, caller);
    answer.header('etag', etagOfProduct(product));
    return { product: productMessage(product) };
  }

  @GrpcMethod(SERVICE)
  @RequireRole('operator')
  async putProduct(
    @Fields(ProductParams) { productId }: ProductParams,
    @Fields(PutProductDto, facts, { price: 'price.minor_units', currency: 'price.currency' }) product: PutProductDto,
    @Exchange() exchange: Exchange,
  ): Promise<PutProductResponse> {
    return { product: productMessage(await this.requests.put(productId, product, exchange)) };
  }
}

function productMessage({ price, currency, updatedAt, ...product }: Answer<ProductDto>): Product {
  return { ...product, price: { minorUnits: price, currency }, updatedAt: new Date(updatedAt) };
}
