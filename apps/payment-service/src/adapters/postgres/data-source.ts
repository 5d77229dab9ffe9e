import 'reflect-metadata';
import { SessionClient, withoutRefusal } from '@twinbox/messaging/session-client';
import { DataSource } from 'typeorm';
import { entities } from './entities.js';

const url = process.env['DATABASE_URL'] ?? '';

/** Connects once first, because TypeORM's command line does not retry when a pooler or an older server refuses session settings. */
async function dataSource(): Promise<DataSource> {
  await withoutRefusal(async () => {
    const client = new SessionClient({ connectionString: url });
    await client.connect();
    await client.end();
  });
  return new DataSource({ type: 'postgres', url, schema: 'payments', entities, extra: { Client: SessionClient } });
}

/** For TypeORM's command line (`npm run migrate:generate`), which compares these entities with the database. */
export default dataSource();
