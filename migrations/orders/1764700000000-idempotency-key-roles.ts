import { idempotencyKeyRoles } from '@twinbox/api-kit';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

export class IdempotencyKeyRoles1764700000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of idempotencyKeyRoles('orders')) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table orders.idempotency_keys drop column roles');
  }
}
