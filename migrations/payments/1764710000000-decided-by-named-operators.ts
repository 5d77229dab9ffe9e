import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** `operator:<user id>` has to fit in, because an operator may be named as the gateway or the provider. */
export class DecidedByNamedOperators1764710000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    // A longer varchar changes nothing but the catalogue.
    await queryRunner.query('alter table payments.payment_requests alter column decided_by type varchar(300)');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table payments.payment_requests alter column decided_by type varchar(255)');
  }
}
