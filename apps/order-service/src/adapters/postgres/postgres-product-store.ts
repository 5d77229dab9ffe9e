import { Injectable } from '@nestjs/common';
import { LockGate } from '@twinbox/api-kit';
import { type Page, pageOf } from '@twinbox/kernel';
import { prepared } from '@twinbox/messaging/transactions';
import { DataSource, type EntityManager } from 'typeorm';
import {
  type ProductChange,
  type ProductQuery,
  ProductStore,
  type StockedProduct,
} from '../../application/product-store.js';
import { LIVE_STATUSES } from '../../domain/order.js';
import { Catalogue, type Line, type Product } from '../../domain/product.js';
import { productColumns } from './product-table.js';
import { ProductWords, queryOf, WITHOUT_WORDS, wordsOf } from './product-words.js';

const shownColumns = productColumns.without('words', 'wordsOf');
/** All but `available`, which needs a calculation. */
const plainColumns = shownColumns.without('available');

/** `available` adds what cancelled orders have released since the product's row was last written. */
const PRODUCT_COLUMNS = `
         ${plainColumns.selectFrom('p')},
         (p.available + coalesce((select sum(r.quantity) from orders.stock_releases r where r.product_id = p.id), 0))::float8
           as available`;
const SELECT_PRODUCTS = `select ${PRODUCT_COLUMNS} from orders.products p`;

/**
 * Selects the products $1 with the pieces reserved by orders in the statuses $2. Served by orders_status and the primary key of
 * order_items if few orders are live, or by order_items_product if few items have the products.
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

/** Must match the index products_search, which serves the previous version. */
const SEARCHED_BEFORE = `to_tsvector('simple', translate(id || ' ' || name, '-./:@_+', '       '))`;

/** Reserves $2 pieces each of the products $1. See {@link PostgresProductStore.reserve}. */
const RESERVE = prepared(`with locked as materialized (
     select ${shownColumns.names} from orders.products where id = any($1::text[]) order by id for no key update
   ), released as (
     delete from orders.stock_releases r using locked where r.product_id = locked.id
     returning r.product_id as id, r.quantity
   ), stock as materialized (
     select ${plainColumns.names}, wanted.quantity as requested,
            available + coalesce((select sum(quantity) from released where released.id = locked.id), 0)::int as available
       from locked join unnest($1::text[], $2::int[]) as wanted (id, quantity) using (id)
   )
   update orders.products p
      set available = stock.available
        - case when exists (select from stock where available < requested) then 0 else stock.requested end
     from stock
    where p.id = stock.id
   returning ${shownColumns.selectFrom('stock')}`);

/**
 * Locks those of the products $1 that are not locked, adds their releases to them, and selects them. See the notes on snapshots at
 * {@link PostgresProductStore.reserve}.
 */
const LOCK_AVAILABLE = prepared(`with locked as materialized (
     select ${shownColumns.names} from orders.products where id = any($1::text[]) order by id for no key update skip locked
   ), deleted as (
     delete from orders.stock_releases r using locked where r.product_id = locked.id
     returning r.product_id as id, r.quantity
   ), released as materialized (
     select id, sum(quantity)::int as quantity from deleted group by id
   ), credited as (
     update orders.products p set available = locked.available + released.quantity
       from locked join released using (id)
      where p.id = locked.id
   ), stock as (
     select ${plainColumns.names}, available + coalesce(released.quantity, 0) as available
       from locked left join released using (id)
   )
   select ${shownColumns.selectFrom('stock')} from stock`);

const TAKE = prepared(`
  update orders.products p set available = p.available - taken.quantity
    from unnest($1::text[], $2::int[]) as taken (id, quantity)
   where p.id = any($1::text[]) and p.id = taken.id`);

const addedColumns = productColumns.without('words');
const ADD = `
  insert into orders.products (${addedColumns.names}, words)
  values (${addedColumns.placeholders(2)}, array_to_tsvector($1::text[]))
      on conflict (id) do nothing
  returning id`;

const savedColumns = productColumns.without('id', 'available', 'words');
/** Changes the product $1 to the words $2, and `available` by $3, so that concurrent releases are not lost. */
const SAVE = `
  with released as (delete from orders.stock_releases where product_id = $1 returning quantity)
  update orders.products as p
     set ${savedColumns.assignments('s')}, words = array_to_tsvector($2::text[]),
         available = p.available + $3 + coalesce((select sum(quantity) from released), 0)
    from unnest(${savedColumns.arrayPlaceholders(4)}) as s (${savedColumns.names})
   where p.id = $1`;

const RECORD = `
  insert into orders.product_history
    (product_id, version, at, actor, old_price, old_currency, old_stock, price, currency, stock)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`;

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
    const products: Product[] = await tx.query(prepared(`${SELECT_PRODUCTS} where p.id = any($1::text[])`), [
      lines.map(({ productId }) => productId),
    ]);
    return new Catalogue(products);
  }

  /**
   * One statement, so that the lock is held only for it, the commit and what is sent with them. Locks are taken in the order of ids, so
   * orders for the same products never deadlock. Only the holder of a product's lock consumes its releases, so each is added once.
   *
   * The locking part sees a product as the last transaction left it (READ COMMITTED). The rest of the statement sees it as of when the
   * statement began, so only the former is used in the calculation. A release committed in between is left to the next statement.
   */
  override async reserve(tx: EntityManager, lines: readonly Line[]): Promise<Catalogue> {
    const ids = lines.map(({ productId }) => productId);
    const reserved = this.gate.run(tx, ids, (): Promise<[Product[], number]> =>
      tx.query(RESERVE, [ids, lines.map(({ quantity }) => quantity)]),
    );
    const [found] = await reserved;
    return new Catalogue(found);
  }

  override async lockAvailable(tx: EntityManager, lines: readonly Pick<Line, 'productId'>[]): Promise<Catalogue> {
    const ids = [...new Set(lines.map(({ productId }) => productId))];
    return new Catalogue(await tx.query(LOCK_AVAILABLE, [ids]));
  }

  override async take(tx: EntityManager, lines: readonly Line[]): Promise<void> {
    // An update changes each row once, so the pieces of a product are summed up first.
    const pieces = new Map<string, number>();
    for (const { productId, quantity } of lines) pieces.set(productId, (pieces.get(productId) ?? 0) + quantity);
    await tx.query(TAKE, [[...pieces.keys()], [...pieces.values()]]);
  }

  override async release(tx: EntityManager, orderId: string): Promise<void> {
    await tx.query(
      prepared(`insert into orders.stock_releases (product_id, order_id, quantity)
       select product_id, order_id, quantity from orders.order_items where order_id = $1`),
      [orderId],
    );
  }

  override async lock(tx: EntityManager, productId: string): Promise<Product | undefined> {
    const statement = 'select 1 from orders.products where id = $1 for no key update';
    const locked = await this.gate.run(tx, [productId], (): Promise<unknown[]> => tx.query(statement, [productId]));
    // The next statement may see a product that was added since then and is not locked.
    if (locked.length === 0) return undefined;
    // A statement of its own, because the locking one may have waited and would show the releases as of before the wait.
    const [product]: Product[] = await tx.query(`${SELECT_PRODUCTS} where p.id = $1`, [productId]);
    return product;
  }

  override async stocked(tx: EntityManager, productId: string): Promise<StockedProduct | undefined> {
    const [product] = await this.stockedOf(tx, [productId]);
    return product;
  }

  override async add(tx: EntityManager, product: Product): Promise<boolean> {
    const values = addedColumns.values({ ...product, wordsOf: product.name });
    const added: unknown[] = await tx.query(ADD, [wordsOf(product), ...values]);
    return added.length > 0;
  }

  override async save(tx: EntityManager, before: Product, after: Product): Promise<void> {
    const values = savedColumns.arrays([{ ...after, wordsOf: after.name }]);
    await tx.query(SAVE, [after.id, wordsOf(after), after.available - before.available, ...values]);
  }

  override async record(tx: EntityManager, { actor, from, to }: ProductChange): Promise<void> {
    const valuesOf = (product?: StockedProduct) =>
      product ? [product.price, product.currency, product.available + product.reserved] : [null, null, null];
    await tx.query(RECORD, [to.id, to.version, to.updatedAt, actor, ...valuesOf(from), ...valuesOf(to)]);
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

  /** Served by the primary key, or by products_words for a search. */
  override async list({ search, limit, after = '' }: ProductQuery): Promise<Page<Product>> {
    const rows = await (search === undefined
      ? this.select('orders.products', [after, limit + 1])
      : this.search(search, after, limit + 1));
    return pageOf(rows, limit, ({ id }) => id);
  }

  private async search(search: string, after: string, limit: number): Promise<Product[]> {
    const query = queryOf(search);
    if (query === undefined) return [];
    // Read first, so that a product whose words are computed meanwhile is found by them.
    const unindexed = await this.words.findUnindexed(search, after, limit);
    const values = [after, limit, query, unindexed.ids];
    // `offset 0`, because the planner assumes that any word is frequent and would scan all products in list order.
    const found = (others = '') => `(
      select ${shownColumns.names} from orders.products
       where (words @@ $3::tsquery and words_of = name) or id = any($4) ${others} offset 0)`;
    // While many products have no words yet, after an update from the previous version, searches much as that version does.
    return this.select(
      found(unindexed.areAll ? '' : `or (${WITHOUT_WORDS} and ${SEARCHED_BEFORE} @@ $3::tsquery)`),
      values,
    );
  }

  private async select(source: string, values: readonly unknown[]): Promise<Product[]> {
    const statement = `select ${PRODUCT_COLUMNS} from ${source} p where p.id > $1 order by p.id limit $2`;
    return this.dataSource.query(statement, [...values]);
  }

  /** Sorted by id. Not prepared, because the best plan depends on the products. */
  private async stockedOf(
    reader: DataSource | EntityManager,
    productIds: readonly string[],
  ): Promise<StockedProduct[]> {
    return reader.query(SELECT_STOCKED, [productIds, LIVE_STATUSES]);
  }
}
