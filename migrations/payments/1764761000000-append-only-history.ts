import { type MigrationInterface, type QueryRunner } from 'typeorm';
import { appendOnly, appendOnlyDown } from '../append-only.js';

export class AppendOnlyHistory1764761000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of appendOnly('payments', ['payment_timeline', 'messaging_audit']))
      await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(appendOnlyDown('payments'));
  }
}
