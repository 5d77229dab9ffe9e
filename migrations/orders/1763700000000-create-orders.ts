import { messagingTables } from '@twinbox/messaging';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

export class CreateOrders1763700000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      create table orders.products (
        id varchar(64) not null,
        name varchar(200) not null,
        price bigint not null,
        currency char(3) not null,
        constraint products_pkey primary key (id),
        constraint products_price_positive check (price > 0)
      )`);
    await queryRunner.query(`
      create table orders.orders (
        id uuid not null,
        customer_id varchar(255) not null,
        status varchar(20) not null,
        description varchar(500),
        total bigint not null,
        currency char(3) not null,
        payment jsonb,
        cancel_reason varchar(500),
        version integer not null,
        created_at timestamptz(3) not null,
        updated_at timestamptz(3) not null,
        constraint orders_pkey primary key (id)
      )`);
    // Serves a customer's own list, newest first: the ids are UUIDv7, so their order is the order of creation.
    await queryRunner.query('create index orders_customer on orders.orders (customer_id, id)');
    await queryRunner.query(`
      create table orders.order_items (
        order_id uuid not null,
        product_id varchar(64) not null,
        name varchar(200) not null,
        quantity integer not null,
        unit_price bigint not null,
        constraint order_items_pkey primary key (order_id, product_id),
        constraint order_items_order_fkey foreign key (order_id) references orders.orders (id),
        constraint order_items_quantity_positive check (quantity > 0)
      )`);
    for (const statement of messagingTables('orders', { to: 1 })) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      drop table orders.order_items, orders.orders, orders.products, orders.outbox, orders.relay_lease,
                 orders.inbox, orders.inbox_dead_letters`);
  }
}
