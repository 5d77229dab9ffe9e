import { duration, WITH_RIGHTS_OF_OWNER } from './removal.js';

const DAY_MS = 24 * 3600 * 1000;

/** Returns the statement that sets how long audit entries are kept at least. */
export function leastAuditRetention(s: string, auditMs = 90 * DAY_MS): string {
  return `create or replace function ${s}.messaging_audit_retention() returns interval language sql immutable as $$
      select interval '${duration(auditMs)} ms'
    $$`;
}

/** Returns the statements of version 5: traces, histories of attempts, stored operations, pauses, and a retention of the audit. */
export function administrationOfVersion5(s: string, auditMs: number | undefined): readonly string[] {
  return [
    // The trace context of the code that added the message or job (W3C Trace Context), which the relay sends as headers.
    `alter table ${s}.outbox add column traceparent varchar(55), add column tracestate varchar(512)`,
    `alter table ${s}.outbox_parked add column traceparent varchar(55), add column tracestate varchar(512)`,
    // `history` lists the latest failed attempts: [{ "at", "error" }].
    `alter table ${s}.inbox_parked add column history jsonb not null default '[]'`,
    `alter table ${s}.jobs
       add column traceparent varchar(55), add column tracestate varchar(512),
       add column aggregate_id varchar(255), add column history jsonb not null default '[]'`,
    // `outcome` is 'refused' for an action that was not allowed. `operation` names the operation that acted for the operator. `detail`
    // has what an action concerns beside `letter`, such as a filter, a count, or an edited payload.
    `alter table ${s}.messaging_audit
       add column outcome varchar(20) not null default 'done', add column operation uuid, add column detail jsonb`,
    ...pausesAndOperations(s),
    leastAuditRetention(s, auditMs),
    auditForget(s),
    outboxEdit(s),
    `revoke execute on function ${s}.messaging_audit_retention(), ${s}.messaging_audit_forget(float8, bigint, integer),
       ${s}.outbox_edit(bigint, text) from public`,
  ];
}

/** What operators look for in tables that may be large. The relay and the workers need none of these indexes. */
function indexesOfVersion6(s: string): Readonly<Record<string, string>> {
  return {
    outbox_aggregate: `${s}.outbox (aggregateid, position)`,
    // Lists the dead jobs by time of death, like dead letters.
    jobs_died: `${s}.jobs (dead_at, id) where dead_at is not null`,
    jobs_aggregate: `${s}.jobs (aggregate_id) where aggregate_id is not null`,
    messaging_audit_operation: `${s}.messaging_audit (operation, id) where operation is not null`,
  };
}

/**
 * Returns the statements of version 6, which builds indexes. With `isAlone`, it blocks no writer, must run outside of a transaction and may
 * be repeated. An interrupted build has left an invalid index.
 */
export function administrationOfVersion6(s: string, isAlone: boolean): readonly string[] {
  return Object.entries(indexesOfVersion6(s)).flatMap(([name, of]) =>
    isAlone
      ? [`drop index concurrently if exists ${s}.${name}`, `create index concurrently ${name} on ${of}`]
      : [`create index ${name} on ${of}`],
  );
}

export function administrationOfVersion6Down(s: string): readonly string[] {
  return Object.keys(indexesOfVersion6(s)).map((name) => `drop index if exists ${s}.${name}`);
}

function pausesAndOperations(s: string): readonly string[] {
  return [
    // What must not run now: a consumer, a job queue, or the relay.
    `create table ${s}.messaging_pauses (
      kind varchar(20) not null,
      name varchar(255) not null,
      paused_at timestamptz not null default clock_timestamp(),
      actor varchar(255) not null,
      reason text,
      primary key (kind, name)
    )`,
    // Actions of operators on many letters, jobs or messages. `progress` is what the next process needs to continue. Until
    // runner_until, `runner` is the process that works on it.
    `create table ${s}.messaging_operations (
      id uuid primary key,
      kind varchar(30) not null,
      filter jsonb not null,
      as_of timestamptz not null,
      options jsonb not null default '{}',
      state varchar(20) not null default 'running',
      total bigint not null,
      total_is_exact boolean not null default true,
      done bigint not null default 0,
      failed bigint not null default 0,
      progress jsonb not null default '{}',
      problem text,
      cancelled_by varchar(255),
      actor varchar(255) not null,
      reason text,
      created_at timestamptz not null default clock_timestamp(),
      updated_at timestamptz not null default clock_timestamp(),
      finished_at timestamptz,
      runner uuid,
      runner_until timestamptz not null default '-infinity'
    )`,
    `create index messaging_operations_open on ${s}.messaging_operations (created_at, id) where finished_at is null`,
    `create index messaging_operations_finished on ${s}.messaging_operations (finished_at, id) where finished_at is not null`,
  ];
}

/**
 * Removes at most `at_most` entries beyond the id `beyond` that are older than the retention, the oldest first, and returns how many,
 * and the id of the last one. messaging_audit_pkey serves it, because entries have their ids in the order of their times.
 */
function auditForget(s: string): string {
  return `create function ${s}.messaging_audit_forget(retention_ms float8, beyond bigint, at_most integer,
      out forgotten integer, out up_to bigint) ${WITH_RIGHTS_OF_OWNER} as $$
    declare
      keep_from timestamptz := clock_timestamp() - greatest(retention_ms * interval '1 ms', ${s}.messaging_audit_retention());
    begin
      with looked as materialized (
        select id, at < keep_from as is_old from ${s}.messaging_audit where id > beyond order by id limit at_most),
      gone as (
        delete from ${s}.messaging_audit
         where id = any(array(select id from looked
                               where is_old and id < coalesce((select min(id) from looked where not is_old), 9223372036854775807)))
        returning id)
      select count(*), coalesce(max(id), beyond) into forgotten, up_to from gone;
    end $$`;
}

/**
 * Replaces the payload of a dead letter, also in the log, from which a successor of the relay or a replay would otherwise send the
 * original. The id is compared too, because after a reset of the sequence another message may have the position.
 */
function outboxEdit(s: string): string {
  return `create function ${s}.outbox_edit(at_position bigint, edited text) returns void ${WITH_RIGHTS_OF_OWNER} as $$
    begin
      with letter as (
        update ${s}.outbox_parked set payload = edited where position = at_position and dead_at is not null returning position, id)
      update ${s}.outbox as log set payload = edited from letter where log.position = letter.position and log.id = letter.id;
    end $$`;
}

export function administrationOfVersion5Down(s: string): readonly string[] {
  return [
    // Version 6 may have been interrupted.
    ...administrationOfVersion6Down(s),
    `drop function ${s}.messaging_audit_forget, ${s}.messaging_audit_retention, ${s}.outbox_edit`,
    `drop table ${s}.messaging_operations, ${s}.messaging_pauses`,
    `alter table ${s}.messaging_audit drop column outcome, drop column operation, drop column detail`,
    `alter table ${s}.jobs drop column traceparent, drop column tracestate, drop column aggregate_id, drop column history`,
    `alter table ${s}.inbox_parked drop column history`,
    `alter table ${s}.outbox_parked drop column traceparent, drop column tracestate`,
    `alter table ${s}.outbox drop column traceparent, drop column tracestate`,
  ];
}
