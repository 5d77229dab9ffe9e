import { Injectable } from '@nestjs/common';
import {
  actorOf,
  type Answer,
  type Caller,
  CursorCodec,
  etagOf,
  type Exchange,
  isOperator,
  problemOf,
  UnitOfWork,
  validationProblem,
} from '@twinbox/api-kit';
import { ProductStore, type StockedProduct } from '../../application/product-store.js';
import { PutProduct } from '../../application/put-product.js';
import { productProblems } from './product-problems.js';
import { type ProductDto, type ProductPageDto, type ProductPageQuery, type PutProductDto } from './product.dto.js';

@Injectable()
export class ProductRequests {
  private readonly cursors = new CursorCodec({ id: 'text' });

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly putProduct: PutProduct,
    private readonly products: ProductStore,
  ) {}

  async list({ limit, cursor, q }: ProductPageQuery, caller: Caller | undefined): Promise<ProductPageDto> {
    const scope = { q };
    const query = { search: q, limit, after: this.cursors.decode(cursor, scope)?.id };
    const page = await (isOperator(caller) ? this.stocked(query) : this.products.list(query));
    return {
      ...page,
      nextCursor: page.nextCursor === null ? null : this.cursors.encode({ id: page.nextCursor }, scope),
    };
  }

  async find(productId: string, caller: Caller | undefined): Promise<ProductDto> {
    const product = isOperator(caller)
      ? await this.products.findStocked(productId).then((found) => found && withStock(found))
      : await this.products.find(productId);
    if (!product) throw problemOf({ code: 'product-not-found', productId }, productProblems);
    return product;
  }

  async put(
    productId: string,
    { name, price, currency, stock }: PutProductDto,
    { caller, preconditions, answer }: Omit<Exchange, 'key' | 'cause'>,
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
    answer.header('etag', etagOfProduct(product));
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
export function etagOfProduct({
  version,
  available,
  reserved,
}: Pick<ProductDto, 'version' | 'available' | 'reserved'>): string {
  return etagOf(version, reserved === undefined ? available : `${available}-${reserved}`);
}
