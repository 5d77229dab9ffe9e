import { idempotencyTable } from '@twinbox/api-kit';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

export class ExpiryRefundsAndHistory1764500000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table payments.payment_requests add column expires_at timestamptz(3)');
    // What waits for its payment has known no time to live: it begins now, however old the request is.
    await queryRunner.query(`
      update payments.payment_requests
         set expires_at = case status when 'PENDING' then now() else created_at end + interval '15 minutes'`);
    await queryRunner.query('alter table payments.payment_requests alter column expires_at set not null');
    // Since when the gateway may have been told to charge: from then on only the gateway knows whether the money came.
    await queryRunner.query('alter table payments.payment_requests add column charge_sent_at timestamptz(3)');
    // Who moves the money; so far operators did, by hand.
    await queryRunner.query(`
      alter table payments.payment_requests add column gateway varchar(40) not null default 'manual'`);
    await queryRunner.query('alter table payments.payment_requests alter column gateway drop default');
    // Finds what has expired; a request leaves it with its result.
    await queryRunner.query(`
      create index payment_requests_expiry on payments.payment_requests (expires_at) where status = 'PENDING'`);
    await queryRunner.query('create index payment_requests_amount on payments.payment_requests (amount, id)');

    // Every step of every payment, by order: also what was heard of an order that has no request.
    await queryRunner.query(`
      create table payments.payment_timeline (
        position bigint generated always as identity,
        order_id uuid not null,
        type varchar(40) not null,
        status varchar(20),
        version integer,
        at timestamptz(3) not null,
        actor varchar(300) not null,
        cause varchar(255),
        message_id varchar(255),
        detail jsonb,
        constraint payment_timeline_pkey primary key (order_id, position)
      )`);
    for (const statement of idempotencyTable('payments')) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table payments.payment_timeline, payments.idempotency_keys');
    await queryRunner.query('drop index payments.payment_requests_amount');
    await queryRunner.query(`
      alter table payments.payment_requests
        drop column expires_at, drop column charge_sent_at, drop column gateway`);
  }
}
