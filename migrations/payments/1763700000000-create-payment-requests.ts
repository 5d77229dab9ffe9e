import { messagingTables } from '@twinbox/messaging';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

export class CreatePaymentRequests1763700000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    // One request an order is a rule of the database too: the last guard, should the same order ever be placed by two messages.
    await queryRunner.query(`
      create table payments.payment_requests (
        id uuid not null,
        order_id uuid not null,
        customer_id varchar(255) not null,
        amount bigint not null,
        currency char(3) not null,
        status varchar(20) not null,
        reason varchar(500),
        decided_by varchar(255),
        version integer not null,
        created_at timestamptz(3) not null,
        updated_at timestamptz(3) not null,
        constraint payment_requests_pkey primary key (id),
        constraint payment_requests_order unique (order_id)
      )`);
    // Serve the lists, newest first: of all requests by status for operators, of a customer's own.
    await queryRunner.query('create index payment_requests_status on payments.payment_requests (status, id)');
    await queryRunner.query('create index payment_requests_customer on payments.payment_requests (customer_id, id)');
    for (const statement of messagingTables('payments', { to: 1 })) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      drop table payments.payment_requests, payments.outbox, payments.relay_lease, payments.inbox,
                 payments.inbox_dead_letters`);
  }
}
