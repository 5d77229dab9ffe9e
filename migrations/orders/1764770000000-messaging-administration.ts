import { messagingTables, messagingTablesDown } from '@twinbox/messaging';
import { type MigrationInterface, type QueryRunner } from 'typeorm';
import { retentionAndEdits, retentionAndEditsDown } from '../append-only.js';

export class MessagingAdministration1764770000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    const tables = messagingTables('orders', { from: 4, to: 5 });
    for (const statement of [...tables, ...retentionAndEdits('orders')]) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const tables = messagingTablesDown('orders', { from: 5, to: 4 });
    for (const statement of [...retentionAndEditsDown('orders'), ...tables]) await queryRunner.query(statement);
  }
}
