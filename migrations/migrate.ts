import { parseArgs } from 'node:util';
import { isProduction } from '@twinbox/api-kit/connections';
import { SCHEMAS } from './schemas.js';
import { migrateSchemas } from './migrate-schemas.js';
import { databaseUrl, required, run } from './command.js';

function rolePassword(schema: string, variable: string): string {
  const password = required(variable, `the password of the role ${schema}`);
  if (password === schema && isProduction(process.env['NODE_ENV']))
    throw new Error(
      `${variable}: with NODE_ENV=production the password must not be the name of the role, as in the demo`,
    );
  return password;
}

run('migrate', async () => {
  const { contract } = parseArgs({ options: { contract: { type: 'boolean', default: false } } }).values;
  const adminUrl = databaseUrl('the database, as an admin: postgres://user:password@host:port/database');
  const passwords = SCHEMAS.map(({ schema, passwordVariable }) => [schema, rolePassword(schema, passwordVariable)]);
  const ran = await migrateSchemas(adminUrl, Object.fromEntries(passwords) as Record<string, string>, {
    closedDatabases: (process.env['CLOSED_DATABASES'] ?? '').split(/[\s,]+/).filter((name) => name !== ''),
    contract,
    onExcess: (text) => console.error(`migrate: ${text}`),
  });
  for (const [schema, names] of Object.entries(ran)) {
    console.log(`${schema}: ${names.length === 0 ? 'up to date' : names.join(', ')}`);
  }
});
