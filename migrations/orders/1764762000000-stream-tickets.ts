import { type MigrationInterface, type QueryRunner } from 'typeorm';

export class StreamTickets1764762000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    // A ticket opens one stream of events. Only its SHA-256 is stored. `order_id`: null for the stream of all orders that the user may
    // see. `key_id`: the key that signed the user's token, if the token names it. `valid_until`: until when it may be used next. The first
    // use extends that to `expires_at`. `uses`: how often it has been used.
    await queryRunner.query(`
      create table orders.stream_tickets (
        hash bytea not null,
        user_id varchar(255) not null,
        roles text[] not null,
        order_id uuid,
        key_id text,
        created_at timestamptz not null default clock_timestamp(),
        valid_until timestamptz not null,
        expires_at timestamptz not null,
        uses integer not null default 0,
        constraint stream_tickets_pkey primary key (hash)
      )`);
    // Finds the oldest tickets of a user, and those that are no longer valid.
    await queryRunner.query('create index stream_tickets_user on orders.stream_tickets (user_id, created_at)');
    await queryRunner.query('create index stream_tickets_valid_until on orders.stream_tickets (valid_until)');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table orders.stream_tickets');
  }
}
