import { type Pool } from 'pg';

interface Product {
  readonly id: string;
  readonly name: string;
  readonly price: number;
  readonly stock: number;
}

/** What the shop sells in a run, at first. There is plenty of one product; the others are sold out now and then. */
export const PRODUCTS: readonly [Product, ...Product[]] = [
  { id: 'tea-earl-grey', name: 'Earl Grey, 100 g', price: 890, stock: 1_000_000 },
  { id: 'tea-sencha', name: 'Sencha, 100 g', price: 1250, stock: 150 },
  { id: 'coffee-filter', name: 'Filter roast, 250 g', price: 1090, stock: 60 },
  { id: 'mug-stoneware', name: 'Stoneware mug', price: 1800, stock: 25 },
];

/**
 * Puts the products into the shop, and a ledger beside it. How much an operator's PUT has added cannot be told afterwards from
 * what is there; so the database notes it: what the PUT made of `available`, and what it folded in of what cancelled orders had
 * given back. Nothing of the shop's own is changed by that.
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
