import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Counts what a customer has open, however many orders they have had. Processes of the previous version keep it up to date as well. */
export class OpenOrdersOfACustomer1764763000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      create index orders_open on orders.orders (customer_id, status)
       where status in ('DRAFT', 'PLACED', 'PAYMENT_PENDING')`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop index orders.orders_open');
  }
}
