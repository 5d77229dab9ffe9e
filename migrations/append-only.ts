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

/**
 * Returns the statements after which the functions of the messaging tables may make the changes that are their task: they remove entries
 * of the audit that are older than its least retention, and replace the payload of a dead letter of the outbox. Everything else is
 * still rejected.
 */
export function retentionAndEdits(schema: string): readonly string[] {
  return [
    `drop trigger append_only on ${schema}.messaging_audit`,
    `create trigger append_only before update on ${schema}.messaging_audit
       for each statement execute function ${schema}.reject_change()`,
    `create trigger kept before delete on ${schema}.messaging_audit for each row
       when (old.at >= clock_timestamp() - ${schema}.messaging_audit_retention()) execute function ${schema}.reject_change()`,
    `create function ${schema}.accept_edit() returns trigger language plpgsql set search_path = pg_catalog as $$
     begin
       if to_jsonb(new) - 'payload' <> to_jsonb(old) - 'payload' or not exists (
            select from ${schema}.outbox_parked as letter
             where letter.position = old.position and letter.id = old.id and dead_at is not null and letter.payload = new.payload) then
         raise exception '% of %.% is rejected, because its rows show what happened', tg_op, tg_table_schema, tg_table_name
           using errcode = 'insufficient_privilege';
       end if;
       return new;
     end $$`,
    `drop trigger unchanged on ${schema}.outbox`,
    `create trigger unchanged before update on ${schema}.outbox
       for each row execute function ${schema}.accept_edit()`,
  ];
}

export function retentionAndEditsDown(schema: string): readonly string[] {
  return [
    `drop function ${schema}.accept_edit() cascade`,
    `create trigger unchanged before update on ${schema}.outbox
       for each statement execute function ${schema}.reject_change()`,
    `drop trigger kept on ${schema}.messaging_audit`,
    `drop trigger append_only on ${schema}.messaging_audit`,
    `create trigger append_only before update or delete on ${schema}.messaging_audit
       for each statement execute function ${schema}.reject_change()`,
  ];
}
