/**
 * The shortest time for which rows are kept, in milliseconds. A service that is configured to keep them for less removes nothing
 * younger than this, because its role cannot delete the rows itself.
 */
export interface LeastRetention {
  /** Published messages in the outbox. Default: 7 days. */
  readonly outboxMs?: number;
  /** Records of messages in the inbox. Default: 30 days. */
  readonly inboxMs?: number;
  /** Entries of the audit. Default: 90 days. */
  readonly auditMs?: number;
}

const DAY_MS = 24 * 3600 * 1000;

/** Returns the statement that sets the least retention, which only the owner of the function can change. */
export function leastRetention(s: string, { outboxMs = 7 * DAY_MS, inboxMs = 30 * DAY_MS }: LeastRetention): string {
  return `create or replace function ${s}.messaging_retention(out outbox interval, out inbox interval) language sql immutable as $$
      select interval '${duration(outboxMs)} ms', interval '${duration(inboxMs)} ms'
    $$`;
}

/** @throws RangeError for a number that is not a duration in milliseconds */
export function duration(value: number): number {
  if (!Number.isFinite(value) || value < 0)
    throw new RangeError(`The least retention must be a number of milliseconds, not ${value}`);
  return value;
}

/**
 * Returns the statements of version 4: the functions that remove rows of outbox and inbox with the privileges of their owner. They
 * are planned for the values of each call, as the statements of a service are.
 */
export function removalOfVersion4(s: string, retention: LeastRetention): readonly string[] {
  return [
    leastRetention(s, retention),
    outboxRemoveOld(s),
    outboxDiscard(s),
    inboxForget(s),
    inboxWithdraw(s),
    `revoke execute on function ${FUNCTIONS.map((name) => `${s}.${name}`).join(', ')} from public`,
  ];
}

export function removalOfVersion4Down(s: string): string {
  return `drop function ${FUNCTIONS.map((name) => `${s}.${name}`).join(', ')}`;
}

const FUNCTIONS = ['outbox_remove_old', 'outbox_discard', 'inbox_forget', 'inbox_withdraw', 'messaging_retention'];

/** pg_temp comes last, because it comes first where it is not named. */
export const WITH_RIGHTS_OF_OWNER = `language plpgsql security definer
      set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan`;

/**
 * Checks the first `at_most` messages between both positions, and removes those that are older than the retention, that the lease
 * row records as published, and whose type is not waiting. `up_to`: no message to remove is left up to this position. It lies
 * before the first message that was kept, because that one may be younger by the clock than a later one.
 */
function outboxRemoveOld(s: string): string {
  return `create function ${s}.outbox_remove_old(beyond bigint, before bigint, retention_ms float8, at_most integer,
      out removed integer, out waiting integer, out up_to bigint) ${WITH_RIGHTS_OF_OWNER} as $$
    declare
      keep_from timestamptz := clock_timestamp()
        - greatest(retention_ms * interval '1 ms', (select outbox from ${s}.messaging_retention()));
      first_unpublished bigint;
      types_that_wait text[];
    begin
      select coalesce(lower(coalesce((valid ->> 'gaps')::int8multirange, gaps)),
                      coalesce((valid ->> 'position')::bigint, position) + 1),
             array(select jsonb_object_keys(valid -> 'waiting'))
        into first_unpublished, types_that_wait
        from (select position, gaps, case when (ahead ->> 'at')::bigint = position then ahead end as valid
                from ${s}.relay_lease) as recorded;
      before := least(before, coalesce(first_unpublished, beyond));
      with looked as materialized (
        select position, aggregatetype = any(types_that_wait) as waits, created_at < keep_from as is_old
          from ${s}.outbox where position > beyond and position < before order by position limit at_most),
      gone as (
        delete from ${s}.outbox
         where position = any(array(select position from looked where is_old and not waits)) returning 1)
      select (select count(*) from gone), count(*) filter (where waits),
             coalesce(min(position) filter (where not is_old and not waits) - 1,
                      case when count(*) < at_most then greatest(before - 1, beyond) else max(position) end, beyond)
        into removed, waiting, up_to from looked;
    end $$`;
}

/**
 * Removes dead letters, also from the log: the successor of a relay that died before it recorded its progress would find the message
 * there and send it again. A locked row can be skipped: it is being pruned, so the progress is recorded. The id is compared too,
 * because after a reset of the sequence another message may have the position.
 */
function outboxDiscard(s: string): string {
  return `create function ${s}.outbox_discard(positions bigint[]) returns void ${WITH_RIGHTS_OF_OWNER} as $$
    begin
      with discarded as (
        delete from ${s}.outbox_parked where position = any(positions) and dead_at is not null returning position, id)
      delete from ${s}.outbox where position in (
        select log.position from ${s}.outbox as log join discarded using (position, id) for update of log skip locked);
    end $$`;
}

/**
 * Removes at most `at_most` of a consumer's records that are older than the retention, the oldest first, and skips locked ones.
 * inbox_age serves it. `up_to` is the time of the last one.
 */
function inboxForget(s: string): string {
  return `create function ${s}.inbox_forget(of_consumer text, retention_ms float8, since timestamptz, at_most integer,
      out forgotten integer, out up_to timestamptz) ${WITH_RIGHTS_OF_OWNER} as $$
    declare
      keep_from timestamptz := now()
        - greatest(retention_ms * interval '1 ms', (select inbox from ${s}.messaging_retention()));
    begin
      with gone as (
        delete from ${s}.inbox where ctid = any(array(
          select ctid from ${s}.inbox
           where consumer = of_consumer and received_at < keep_from and received_at >= coalesce(since, '-infinity')
           order by received_at limit at_most for update skip locked))
        returning received_at)
      select count(*), max(received_at) into forgotten, up_to from gone;
    end $$`;
}

/** Removes records that the running transaction has made outside of savepoints. inbox_pkey serves it, whatever number of ids the planner expects. */
function inboxWithdraw(s: string): string {
  return `create function ${s}.inbox_withdraw(of_consumer text, message_ids text[], sources text[]) returns void
      ${WITH_RIGHTS_OF_OWNER} as $$
    begin
      delete from ${s}.inbox where ctid = any(array(
        select own.ctid from unnest(message_ids, sources) as m (id, source) cross join lateral (
          select i.ctid from ${s}.inbox as i
           where i.consumer = of_consumer and i.message_id = m.id and i.source = m.source
             and i.xmin = pg_current_xact_id()::xid offset 0) as own));
    end $$`;
}
