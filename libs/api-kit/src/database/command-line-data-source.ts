import { SessionClient, withoutRefusal } from '@twinbox/messaging/session-client';
import { DataSource } from 'typeorm';
import type { DatabaseOptions } from './database-options.js';

/**
 * Returns a DataSource for TypeORM's command line, which compares the entities with the database in `DATABASE_URL`. Connects once first,
 * because the command line does not retry when a pooler or an older server refuses session settings.
 */
export async function commandLineDataSource(
  schema: string,
  entities: NonNullable<DatabaseOptions['entities']>,
): Promise<DataSource> {
  const url = process.env['DATABASE_URL'] ?? '';
  await withoutRefusal(async () => {
    const client = new SessionClient({ connectionString: url });
    await client.connect();
    await client.end();
  });
  return new DataSource({ type: 'postgres', url, schema, entities, extra: { Client: SessionClient } });
}
