import 'reflect-metadata';
import { SessionClient, withoutRefusal } from '@twinbox/messaging/session-client';
import { DataSource } from 'typeorm';
import { entities } from './entities.js';

const url = process.env['DATABASE_URL'] ?? '';

/** Connects once first, because TypeORM's CLI does not retry when a pooler or an older server refuses the settings. */
async function dataSource(): Promise<DataSource> {
  await withoutRefusal(async () => {
    const client = new SessionClient({ connectionString: url });
    await client.connect();
    await client.end();
  });
  return new DataSource({ type: 'postgres', url, schema: 'orders', entities, extra: { Client: SessionClient } });
}

/** For TypeORM's CLI (`npm run migrate:generate`), which compares these entities with the database. */
export default dataSource();
