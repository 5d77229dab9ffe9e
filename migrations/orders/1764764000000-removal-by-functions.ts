import { messagingTables, messagingTablesDown } from '@twinbox/messaging';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

export class RemovalByFunctions1764764000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of messagingTables('orders', { from: 3, to: 4 })) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of messagingTablesDown('orders', { from: 4, to: 3 })) await queryRunner.query(statement);
  }
}
