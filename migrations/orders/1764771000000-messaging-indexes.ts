import { messagingTables, messagingTablesDown } from '@twinbox/messaging';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

export class MessagingIndexes1764771000000 implements MigrationInterface {
  // The indexes are built concurrently, which PostgreSQL allows only outside of a transaction.
  readonly transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of messagingTables('orders', { from: 5, to: 6 })) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of messagingTablesDown('orders', { from: 6, to: 5 })) await queryRunner.query(statement);
  }
}
