import { messagingTables } from '@twinbox/messaging';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

export class MessagingIncidentsAndOrigins1764600000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of messagingTables('orders', { from: 2, to: 3 })) await queryRunner.query(statement);
  }

  /** Refused while a topic's offsets stand twice among the parked messages, because the old constraint allows them once. */
  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      alter table orders.inbox_parked
        add constraint inbox_parked_consumer_topic_partition_offset_key unique (consumer, topic, partition, "offset"),
        drop column setbacks`);
    await queryRunner.query('alter table orders.jobs drop column setbacks');
    await queryRunner.query(
      'drop index orders.inbox_parked_unreadable, orders.inbox_parked_place, orders.inbox_parked_arrival',
    );
    await queryRunner.query(
      'create index inbox_parked_key on orders.inbox_parked (consumer, key, "offset") where holds_key',
    );
    await queryRunner.query('alter table orders.inbox_in_flight drop column recorded_from, drop column recorded_to');
    await queryRunner.query('drop index orders.inbox_age');
    await queryRunner.query(
      'create index inbox_received_at on orders.inbox using brin (received_at) with (pages_per_range = 32, autosummarize = on)',
    );
    await queryRunner.query('drop table orders.inbox_offsets, orders.messaging_incidents');
    await queryRunner.query('alter table orders.relay_lease drop column origin, drop column ahead');
  }
}
