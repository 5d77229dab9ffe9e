import { messagingTables, messagingTablesDown } from '@twinbox/messaging';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

export class MessagingAdministration1764770000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of messagingTables('payments', { from: 4, to: 5 })) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of messagingTablesDown('payments', { from: 5, to: 4 })) await queryRunner.query(statement);
  }
}
