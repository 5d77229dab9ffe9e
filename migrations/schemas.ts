import { passwordVariable, SERVICES } from './services.js';

/** The schema of each service, with its migrations in order and the variable with its role's password. The role has the schema's name. */
export const SCHEMAS = await Promise.all(
  SERVICES.map(async ({ name, schema, migrations }) => ({
    schema,
    service: name,
    passwordVariable: passwordVariable(schema),
    migrations: (await migrations()).migrations,
  })),
);
