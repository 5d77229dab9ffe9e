import { type EntityManager } from 'typeorm';

/** Runs a DDL statement. DDL takes no parameters, so `format` quotes the values. */
export async function ddl(tx: EntityManager, statement: string, ...values: string[]): Promise<void> {
  const placeholders = values.map((_, index) => `$${index + 2}::text`).join(', ');
  const rows: { sql: string }[] = await tx.query(`select format($1, ${placeholders}) as sql`, [statement, ...values]);
  await tx.query(rows[0]?.sql ?? '');
}
