import { messagingTables, messagingTablesDown } from '@twinbox/messaging';
import { type MigrationInterface, type QueryRunner } from 'typeorm';
import { retentionAndEdits, retentionAndEditsDown } from '../append-only.js';

export class MessagingAdministration1764770000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    const tables = messagingTables('payments', { from: 4, to: 5 });
    for (const statement of [...tables, ...retentionAndEdits('payments')]) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const tables = messagingTablesDown('payments', { from: 5, to: 4 });
    for (const statement of [...retentionAndEditsDown('payments'), ...tables]) await queryRunner.query(statement);
  }
}
