import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Finds whether the cancellation of an order has been heard, however many steps its payment has. */
export class PaymentTimelineCancelled1764730000000 implements MigrationInterface {
  // An index that is built concurrently blocks no writer. PostgreSQL allows it outside of a transaction only.
  readonly transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    // A build that was interrupted has left an invalid index.
    await queryRunner.query('drop index concurrently if exists payments.payment_timeline_cancelled');
    await queryRunner.query(`
      create index concurrently payment_timeline_cancelled on payments.payment_timeline (order_id)
       where cause = 'OrderCancelled'`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop index concurrently payments.payment_timeline_cancelled');
  }
}
