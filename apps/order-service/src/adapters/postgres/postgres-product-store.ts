import { Injectable } from '@nestjs/common';
import { LockGate } from '@twinbox/api-kit';
import { type Page, pageOf } from '@twinbox/kernel';
import { DataSource, type EntityManager } from 'typeorm';
import { type ProductQuery, ProductStore, type StockedProduct } from '../../application/product-store.js';
import { LIVE_STATUSES } from '../../domain/order.js';
import { Catalogue, type Line, type Product } from '../../domain/product.js';
import { ProductWords, queryOf, WITHOUT_WORDS, wordsOf } from './product-words.js';

/** What is available is what the product's row says, and what cancelled orders have given back since it was last written. */
const PRODUCT_COLUMNS = `
         p.id, p.name, p.price::float8 as price, p.currency, p.version::float8 as version, p.updated_at as "updatedAt",
         (p.available + coalesce((select sum(r.quantity) from orders.stock_releases r where r.product_id = p.id), 0))::float8
           as available`;
const SELECT_PRODUCTS = `select ${PRODUCT_COLUMNS} from orders.products p`;

/**
 * The same of the products $1, and the pieces of each that orders in the statuses $2 hold. By way of those orders, if few are live
 * (orders_status, the primary key of order_items), or of the products' items, if those are few (order_items_product).
 */
export const SELECT_STOCKED = `
  with reserved as materialized (
    select i.product_id, sum(i.quantity)::int as quantity
      from orders.orders o join orders.order_items i on i.order_id = o.id
     where o.status = any($2) and i.product_id = any($1)
     group by i.product_id
  )
  select p.*, coalesce((select quantity from reserved where product_id = p.id), 0) as reserved
    from (${SELECT_PRODUCTS} where p.id = any($1)) p
   order by p.id`;

/** As the index products_search has it, which serves the version before. */
const SEARCHED_BEFORE = `to_tsvector('simple', translate(id || ' ' || name, '-./:@_+', '       '))`;

/** See {@link PostgresProductStore.reserve}. Of the products $1, $2 pieces of each. */
const RESERVE = `/* prepared */ with locked as materialized (
     select id, name, price, currency, version, updated_at, available
       from orders.products where id = any($1) order by id for no key update
   ), released as (
     delete from orders.stock_releases r using locked where r.product_id = locked.id
     returning r.product_id as id, r.quantity
   ), stock as materialized (
     select id, name, price, currency, version, updated_at, wanted.quantity as requested,
            available + coalesce((select sum(quantity) from released where released.id = locked.id), 0)::int as available
       from locked join unnest($1::text[], $2::int[]) as wanted (id, quantity) using (id)
   )
   update orders.products p
      set available = stock.available
        - case when exists (select from stock where available < requested) then 0 else stock.requested end
     from stock
    where p.id = stock.id
   returning stock.id, stock.name, stock.price::float8 as price, stock.currency,
             stock.version::float8 as version, stock.updated_at as "updatedAt", stock.available::float8 as available`;

@Injectable()
export class PostgresProductStore extends ProductStore {
  private readonly gate: LockGate;

  constructor(
    private readonly dataSource: DataSource,
    private readonly words: ProductWords,
  ) {
    super();
    this.gate = new LockGate(dataSource);
  }

  override async catalogue(tx: EntityManager, lines: readonly Pick<Line, 'productId'>[]): Promise<Catalogue> {
    if (lines.length === 0) return new Catalogue([]);
    const products: Product[] = await tx.query(`/* prepared */ ${SELECT_PRODUCTS} where p.id = any($1)`, [
      lines.map(({ productId }) => productId),
    ]);
    return new Catalogue(products);
  }

  /**
   * One statement, so that the lock is held for it and the commit, and for what is sent with it. The locks are taken in the order of
   * the ids: two orders for the same products wait for each other, and never in a circle. What cancelled orders gave back is added on
   * the way; only who holds the product's lock takes it from there, so it is added once.
   *
   * The locking part sees a product as the transaction before left it (READ COMMITTED), the rest of the statement as it was when
   * the statement began. So only the former is calculated with, and a release that was committed since is left for the next.
   */
  override async reserve(tx: EntityManager, lines: readonly Line[]): Promise<Catalogue> {
    const ids = lines.map(({ productId }) => productId);
    const reserved = this.gate.run(tx, ids, (): Promise<[Product[], number]> =>
      tx.query(RESERVE, [ids, lines.map(({ quantity }) => quantity)]),
    );
    const [found] = await reserved;
    return new Catalogue(found);
  }

  override async release(tx: EntityManager, orderId: string): Promise<void> {
    await tx.query(
      `/* prepared */ insert into orders.stock_releases (product_id, order_id, quantity)
       select product_id, order_id, quantity from orders.order_items where order_id = $1`,
      [orderId],
    );
  }

  override async lock(tx: EntityManager, productId: string): Promise<Product | undefined> {
    const statement = 'select 1 from orders.products where id = $1 for no key update';
    const locked = await this.gate.run(tx, [productId], (): Promise<unknown[]> => tx.query(statement, [productId]));
    // The next statement may see one that was added since, and is not locked.
    if (locked.length === 0) return undefined;
    // In a statement of its own: the locking one may have waited, and would show what was given back before that.
    const [product]: Product[] = await tx.query(`${SELECT_PRODUCTS} where p.id = $1`, [productId]);
    return product;
  }

  override async stocked(tx: EntityManager, productId: string): Promise<StockedProduct | undefined> {
    const [product] = await this.stockedOf(tx, [productId]);
    return product;
  }

  override async add(tx: EntityManager, product: Product): Promise<boolean> {
    const added: unknown[] = await tx.query(
      `insert into orders.products (id, name, price, currency, available, version, updated_at, words, words_of)
       values ($1, $2::text, $3, $4, $5, $6, $7, array_to_tsvector($8::text[]), $2::text)
           on conflict (id) do nothing
       returning id`,
      [
        product.id,
        product.name,
        product.price,
        product.currency,
        product.available,
        product.version,
        product.updatedAt,
        wordsOf(product),
      ],
    );
    return added.length > 0;
  }

  /** By the difference, and not to a value: what orders give back meanwhile is not lost. */
  override async save(tx: EntityManager, before: Product, after: Product): Promise<void> {
    await tx.query(
      `with released as (delete from orders.stock_releases where product_id = $1 returning quantity)
       update orders.products
          set name = $2::text, price = $3, currency = $4, version = $5, updated_at = $6,
              words = array_to_tsvector($8::text[]), words_of = $2::text,
              available = available + $7 + coalesce((select sum(quantity) from released), 0)
        where id = $1`,
      [
        after.id,
        after.name,
        after.price,
        after.currency,
        after.version,
        after.updatedAt,
        after.available - before.available,
        wordsOf(after),
      ],
    );
  }

  override async find(productId: string): Promise<Product | undefined> {
    const [product]: Product[] = await this.dataSource.query(`${SELECT_PRODUCTS} where p.id = $1`, [productId]);
    return product;
  }

  override async findStocked(productId: string): Promise<StockedProduct | undefined> {
    const [product] = await this.stockedOf(this.dataSource, [productId]);
    return product;
  }

  override async listStocked(query: ProductQuery): Promise<Page<StockedProduct>> {
    const page = await this.list(query);
    const ids = page.items.map(({ id }) => id);
    return { ...page, items: ids.length === 0 ? [] : await this.stockedOf(this.dataSource, ids) };
  }

  /** Served by the primary key, and the search by products_words. */
  override async list({ search, limit, after = '' }: ProductQuery): Promise<Page<Product>> {
    const rows = await (search === undefined
      ? this.select('orders.products', [after, limit + 1])
      : this.search(search, after, limit + 1));
    return pageOf(rows, limit, ({ id }) => id);
  }

  private async search(search: string, after: string, limit: number): Promise<Product[]> {
    const query = queryOf(search);
    if (query === undefined) return [];
    // Read first: a product that gets its words meanwhile is found by them.
    const unindexed = await this.words.findUnindexed(search, after, limit);
    const values = [after, limit, query, unindexed.ids];
    // `offset 0`: the planner takes any word for one that many products have, and would go through all of them in the order of the list.
    const found = (others = '') => `(
      select id, name, price, currency, available, version, updated_at from orders.products
       where (words @@ $3::tsquery and words_of = name) or id = any($4) ${others} offset 0)`;
    // While many products wait for their words, after an update from the version before: nearly as that one searches.
    return this.select(
      found(unindexed.areAll ? '' : `or (${WITHOUT_WORDS} and ${SEARCHED_BEFORE} @@ $3::tsquery)`),
      values,
    );
  }

  private async select(source: string, values: readonly unknown[]): Promise<Product[]> {
    const statement = `select ${PRODUCT_COLUMNS} from ${source} p where p.id > $1 order by p.id limit $2`;
    return this.dataSource.query(statement, [...values]);
  }

  /** By id. Not prepared: which way is the shorter, the products say. */
  private async stockedOf(
    reader: DataSource | EntityManager,
    productIds: readonly string[],
  ): Promise<StockedProduct[]> {
    return reader.query(SELECT_STOCKED, [productIds, LIVE_STATUSES]);
  }
}
