import { messagingTables } from '@twinbox/messaging';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

export class MessagingLogAndParking1763800000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of messagingTables('payments', { from: 1, to: 2 })) await queryRunner.query(statement);
    // All that was heard so far came from there; a redelivery of it has to be recognised.
    await queryRunner.query(`update payments.inbox set source = '/order-service'`);
  }

  /** Back to tables that hold what is not published yet, and dead letters apart. Refused while messages wait parked. */
  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      do $$ begin
        if exists (select from payments.inbox_parked where dead_at is null)
           or exists (select from payments.outbox_parked) or exists (select from payments.jobs) then
          raise exception 'messages or jobs of schema payments wait: retry or discard them first';
        end if;
      end $$`);
    await queryRunner.query(`
      delete from payments.outbox
       where position <= (select position from payments.relay_lease)
         and not position <@ (select gaps from payments.relay_lease)`);
    await queryRunner.query('alter table payments.relay_lease drop column position, drop column gaps');
    await queryRunner.query('drop index payments.inbox_received_at');
    await queryRunner.query(`
      alter table payments.inbox drop constraint inbox_pkey, drop column source`);
    await queryRunner.query('alter table payments.inbox add constraint inbox_pkey primary key (consumer, message_id)');
    await queryRunner.query(`
      create table payments.inbox_dead_letters (
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
      insert into payments.inbox_dead_letters
      select consumer, topic, partition, "offset", message_id, type, key, headers, value, coalesce(error, ''), dead_at
        from payments.inbox_parked`);
    await queryRunner.query(`
      drop table payments.outbox_parked, payments.inbox_parked, payments.inbox_in_flight, payments.messaging_audit,
                 payments.jobs`);
  }
}
