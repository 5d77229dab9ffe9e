import { messagingTables } from '@twinbox/messaging';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

export class MessagingLogAndParking1763800000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of messagingTables('orders', { from: 1, to: 2 })) await queryRunner.query(statement);
    // All that was heard so far came from there; a redelivery of it has to be recognised.
    await queryRunner.query(`update orders.inbox set source = '/payment-service'`);
  }

  /** Back to tables that hold what is not published yet, and dead letters apart. Refused while messages wait parked. */
  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      do $$ begin
        if exists (select from orders.inbox_parked where dead_at is null)
           or exists (select from orders.outbox_parked) or exists (select from orders.jobs) then
          raise exception 'messages or jobs of schema orders wait: retry or discard them first';
        end if;
      end $$`);
    await queryRunner.query(`
      delete from orders.outbox
       where position <= (select position from orders.relay_lease)
         and not position <@ (select gaps from orders.relay_lease)`);
    await queryRunner.query('alter table orders.relay_lease drop column position, drop column gaps');
    await queryRunner.query('drop index orders.inbox_received_at');
    await queryRunner.query(`
      alter table orders.inbox drop constraint inbox_pkey, drop column source`);
    await queryRunner.query('alter table orders.inbox add constraint inbox_pkey primary key (consumer, message_id)');
    await queryRunner.query(`
      create table orders.inbox_dead_letters (
        consumer varchar(255) not null,
        topic varchar(255) not null,
        partition integer not null,
        "offset" bigint not null,
        message_id varchar(255),
        type varchar(255),
        key bytea,
        headers jsonb not null,
        value bytea,
        error text not null,
        dead_at timestamptz not null default clock_timestamp(),
        primary key (consumer, topic, partition, "offset")
      )`);
    await queryRunner.query(`
      insert into orders.inbox_dead_letters
      select consumer, topic, partition, "offset", message_id, type, key, headers, value, coalesce(error, ''), dead_at
        from orders.inbox_parked`);
    await queryRunner.query(`
      drop table orders.outbox_parked, orders.inbox_parked, orders.inbox_in_flight, orders.messaging_audit,
                 orders.jobs`);
  }
}
