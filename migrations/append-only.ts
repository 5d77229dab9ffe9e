/**
 * Returns the statements after which PostgreSQL rejects changes of history: updates and deletes of the tables, and updates of the outbox,
 * whose rows are removed once they are old. That holds for the owner of the tables too. Triggers for statements cost an insert nothing.
 */
export function appendOnly(schema: string, tables: readonly string[]): readonly string[] {
  return [
    `create function ${schema}.reject_change() returns trigger language plpgsql set search_path = pg_catalog as $$
     begin
       raise exception '% of %.% is rejected, because its rows show what happened', tg_op, tg_table_schema, tg_table_name
         using errcode = 'insufficient_privilege';
     end $$`,
    ...tables.map(
      (table) => `create trigger append_only before update or delete on ${schema}.${table}
        for each statement execute function ${schema}.reject_change()`,
    ),
    `create trigger unchanged before update on ${schema}.outbox
       for each statement execute function ${schema}.reject_change()`,
  ];
}

export function appendOnlyDown(schema: string): string {
  return `drop function ${schema}.reject_change() cascade`;
}
