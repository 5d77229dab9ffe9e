import { type MigrationInterface, type QueryRunner } from 'typeorm';

/**
 * The words by which a product is found are computed by the service and kept in its row, so that they do not depend on how the
 * database's locale splits text. The service fills the rows that are there. products_search stays for processes of the version before.
 */
export class SearchWordsInTheRow1764710000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    // `words_of`: the name from which `words` were computed. A process that knows neither column leaves a difference when it changes
    // the name.
    await queryRunner.query('alter table orders.products add column words tsvector, add column words_of text');
    await queryRunner.query('create index products_words on orders.products using gin (words)');
    await queryRunner.query(
      'create index products_without_words on orders.products (id) where words_of is distinct from name',
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table orders.products drop column words, drop column words_of');
  }
}
