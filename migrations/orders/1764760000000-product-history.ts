import { type MigrationInterface, type QueryRunner } from 'typeorm';

export class ProductHistory1764760000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    // Who changed the price or the stock of a product, from what to what. `old_…` is null for a product that was added. Sales are not
    // in it: the timelines of their orders show them.
    await queryRunner.query(`
      create table orders.product_history (
        position bigint generated always as identity,
        product_id varchar(64) not null,
        version integer not null,
        at timestamptz(3) not null,
        actor varchar(300) not null,
        old_price bigint,
        old_currency char(3),
        old_stock integer,
        price bigint not null,
        currency char(3) not null,
        stock integer not null,
        constraint product_history_pkey primary key (product_id, position)
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table orders.product_history');
  }
}
