import { SCHEMAS } from './schemas.js';
import { migrateSchemas } from './migrate-schemas.js';
import { databaseUrl, required, run } from './command.js';

run('migrate', async () => {
  const adminUrl = databaseUrl('the database, as an admin: postgres://user:password@host:port/database');
  const passwords = SCHEMAS.map(({ schema, passwordVariable }) => [
    schema,
    required(passwordVariable, `the password of the role ${schema}`),
  ]);
  const ran = await migrateSchemas(adminUrl, Object.fromEntries(passwords) as Record<string, string>, {
    closedDatabases: (process.env['CLOSED_DATABASES'] ?? '').split(/[\s,]+/).filter((name) => name !== ''),
    onExcess: (text) => console.error(`migrate: ${text}`),
  });
  for (const [schema, names] of Object.entries(ran)) {
    console.log(`${schema}: ${names.length === 0 ? 'up to date' : names.join(', ')}`);
  }
});
