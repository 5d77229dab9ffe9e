import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { databaseUrl, run } from './command.js';
import { SERVICES } from './services.js';

const usage = `usage: npm run migrate:generate -- ${SERVICES.map(({ schema }) => schema).join('|')} what-it-does`;

// Drafts a migration from the difference between a service's entities and a fully migrated database.
run('migrate:generate', async () => {
  const [schema, name, ...more] = process.argv.slice(2);
  const service = SERVICES.find((known) => known.schema === schema)?.name;
  if (!service || !name || !/^[a-z][a-z0-9-]*$/.test(name) || more.length > 0) throw new Error(usage);
  const url = databaseUrl('a fully migrated database, as an admin: postgres://user:password@host:port/database');

  const root = new URL('../../', import.meta.url);
  const child = spawn(
    process.execPath,
    [
      ...process.execArgv,
      createRequire(import.meta.url).resolve('typeorm/cli.js'),
      'migration:generate',
      '--pretty',
      '--dataSource',
      fileURLToPath(new URL(`apps/${service}/dist/adapters/postgres/data-source.js`, root)),
      fileURLToPath(new URL(`migrations/${schema}/${name}`, root)),
    ],
    { stdio: 'inherit', env: { ...process.env, DATABASE_URL: url } },
  );
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error('no migration was written, see above');
  console.log(`Review and edit the SQL (names, locks, down), then add the class to migrations/${schema}.ts.`);
});
