import { type Pool } from 'pg';

interface Product {
  readonly id: string;
  readonly name: string;
  readonly price: number;
  readonly stock: number;
}

/** The initial products. The first one never sells out; the others occasionally do. */
export const PRODUCTS: readonly [Product, ...Product[]] = [
  { id: 'tea-earl-grey', name: 'Earl Grey, 100 g', price: 890, stock: 1_000_000 },
  { id: 'tea-sencha', name: 'Sencha, 100 g', price: 1250, stock: 150 },
  { id: 'coffee-filter', name: 'Filter roast, 250 g', price: 1090, stock: 60 },
  { id: 'mug-stoneware', name: 'Stoneware mug', price: 1800, stock: 25 },
];

/**
 * Inserts the products, and creates a ledger of their changes. The tables do not show afterwards how much a PUT of an operator has added.
 * So triggers record the value of `available` that the PUT has set, and how much stock returned by cancelled orders it has included. The
 * shop itself is not changed.
 */
export async function openShop(database: Pool): Promise<void> {
  await database.query(
    `insert into orders.products (id, name, price, currency, available, version, updated_at)
     select id, name, price, 'EUR', stock, 1, now() from json_to_recordset($1)
         as p (id text, name text, price bigint, stock int)`,
    [JSON.stringify(PRODUCTS)],
  );
  await database.query(`
    create schema chaos;
    create table chaos.folds (product_id text not null, xid xid8 not null default pg_current_xact_id(), quantity bigint not null);
    create table chaos.changes (like chaos.folds including defaults, version int not null, available bigint not null);
    create function chaos.note_change() returns trigger language plpgsql security definer as $$ begin
      insert into chaos.changes (product_id, quantity, version, available)
      values (new.id, new.available - old.available, new.version, new.available);
      return null;
    end $$;
    create function chaos.note_fold() returns trigger language plpgsql security definer as $$ begin
      insert into chaos.folds (product_id, quantity) values (old.product_id, old.quantity);
      return null;
    end $$;
    -- A version grows when somebody changes the product, not when it is sold.
    create trigger changed after update on orders.products
      for each row when (old.version is distinct from new.version) execute function chaos.note_change();
    create trigger folded after delete on orders.stock_releases for each row execute function chaos.note_fold()`);
}
