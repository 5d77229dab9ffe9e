import { idempotencyTable } from '@twinbox/api-kit';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

export class CartsStockAndHistory1764500000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    // `available` is what may still be sold: placing takes it from there, and only a cancelled order gives it back.
    // Everything is in stock that was for sale before stock was counted.
    await queryRunner.query(`
      alter table orders.products
        add column available integer not null default 1000000,
        add column version integer not null default 1,
        add column updated_at timestamptz(3) not null default clock_timestamp(),
        add constraint products_available_not_negative check (available >= 0)`);
    await queryRunner.query(`
      alter table orders.products
        alter column available drop default, alter column version drop default, alter column updated_at drop default`);
    // Serves the search: words and beginnings of words, parted by hyphens, dots and the like too.
    await queryRunner.query(`
      create index products_search on orders.products
        using gin (to_tsvector('simple', translate(id || ' ' || name, '-./:@_+', '       ')))`);
    // What cancelled orders give back: appended without a lock on the product, and added to it by whoever locks it next.
    await queryRunner.query(`
      create table orders.stock_releases (
        id bigint generated always as identity,
        product_id varchar(64) not null,
        order_id uuid not null,
        quantity integer not null,
        constraint stock_releases_pkey primary key (id),
        constraint stock_releases_quantity_positive check (quantity > 0)
      )`);
    await queryRunner.query('create index stock_releases_product on orders.stock_releases (product_id)');

    // An empty draft has no currency yet. `due_at`: since when a PLACED order waits for its payment request, and until when a
    // PAYMENT_PENDING one for its payment.
    await queryRunner.query(`
      alter table orders.orders
        alter column currency drop not null,
        add column due_at timestamptz(3)`);
    await queryRunner.query(`
      update orders.orders set due_at = updated_at where status = 'PLACED'`);
    await queryRunner.query(`
      update orders.orders set due_at = now() + interval '15 minutes' where status = 'PAYMENT_PENDING'`);
    // Finds what is late, however much is not.
    await queryRunner.query(`
      create index orders_due on orders.orders (status, due_at) where due_at is not null`);
    await queryRunner.query('create index orders_status on orders.orders (status, id)');
    // A draft's total still changes, so it has no place in a list by total.
    await queryRunner.query(`create index orders_total on orders.orders (total, id) where status <> 'DRAFT'`);
    await queryRunner.query('create index order_items_product on orders.order_items (product_id, order_id)');

    // Every step of every order. `xid` tells a reader which rows were committed after it last looked.
    await queryRunner.query(`
      create table orders.order_timeline (
        position bigint generated always as identity,
        order_id uuid not null,
        customer_id varchar(255) not null,
        type varchar(40) not null,
        status varchar(20) not null,
        version integer not null,
        at timestamptz(3) not null,
        actor varchar(300) not null,
        cause varchar(255),
        message_id varchar(255),
        detail jsonb,
        xid xid8 not null default pg_current_xact_id(),
        constraint order_timeline_pkey primary key (order_id, position)
      )`);
    await queryRunner.query('create index order_timeline_xid on orders.order_timeline (xid)');
    for (const statement of idempotencyTable('orders')) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      do $$ begin
        if exists (select from orders.orders where currency is null) then
          raise exception 'empty drafts have no currency: remove them first';
        end if;
      end $$`);
    await queryRunner.query('drop table orders.order_timeline, orders.idempotency_keys, orders.stock_releases');
    await queryRunner.query('drop index orders.order_items_product, orders.orders_total, orders.orders_status');
    await queryRunner.query('alter table orders.orders drop column due_at, alter column currency set not null');
    await queryRunner.query('drop index orders.products_search');
    await queryRunner.query(`
      alter table orders.products
        drop constraint products_available_not_negative,
        drop column available, drop column version, drop column updated_at`);
  }
}
