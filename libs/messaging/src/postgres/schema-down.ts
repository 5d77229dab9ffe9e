import { administrationOfVersion5Down, administrationOfVersion6Down } from './administration.js';
import { removalOfVersion4Down } from './removal.js';
import { inboxDeadLetters, quoteIdentifier, SCHEMA_VERSION } from './schema.js';

/**
 * Returns the statements that take the tables of {@link messagingTables} from one version back to an earlier one, for the `down` of
 * a service's migration. Run them in one transaction, while no process of the service is running. Going up again gives the same
 * tables, but not what they contained:
 *
 * - 6 to 5 drops indexes only.
 * - 5 to 4 drops traces, pauses, operations, histories of attempts, and the details of audit entries. Whatever was paused runs again.
 * - 4 to 3 drops the functions that remove old rows. A service of version 3 deletes them itself, so its role needs update and delete on
 *   `outbox` and `inbox`.
 * - 3 to 2 drops incidents, recorded offsets, setbacks, the times of marks, and the relay's progress beyond a blocked type. The
 *   relay publishes those messages again, and consumers drop them. It fails while two parked messages of one consumer
 *   have the same topic, partition and offset.
 * - 2 to 1 deletes published messages from the outbox, and drops the audit, marks of messages in flight, and the sources of inbox
 *   records. The dead letters of the inbox remain, without their source, time of recording and number of attempts. It fails while a
 *   message waits parked in the inbox, while the outbox has parked messages or dead letters, while any job exists, and if a
 *   consumer has recorded the same id from two sources.
 * - 1 to 0 drops the tables with everything in them.
 *
 * @throws RangeError unless both are versions of the tables, and `to` is lower than `from`
 */
export function messagingTablesDown(
  schema: string,
  { from, to }: { readonly from: number; readonly to: number },
): readonly string[] {
  const areVersions = [from, to].every(
    (version) => Number.isInteger(version) && version >= 0 && version <= SCHEMA_VERSION,
  );
  if (!areVersions || to >= from) throw new RangeError(`The tables cannot go from version ${from} down to ${to}`);
  const steps = STEPS_DOWN.slice(to, from).toReversed();
  return steps.flatMap((step) => step(quoteIdentifier(schema)));
}

/** The way back from each version to the one before it, beginning with version 1. */
const STEPS_DOWN: readonly ((s: string) => readonly string[])[] = [
  (s) => [`drop table ${s}.outbox, ${s}.relay_lease, ${s}.inbox, ${s}.inbox_dead_letters`],
  (s) => [
    `do $$ begin
       if exists (select from ${s}.inbox_parked where dead_at is null)
          or exists (select from ${s}.outbox_parked) or exists (select from ${s}.jobs) then
         raise exception 'messages or jobs of schema ${s} wait: retry or discard them first';
       end if;
     end $$`,
    // The relay of version 1 publishes everything that it finds in the outbox.
    `delete from ${s}.outbox
      where position <= (select position from ${s}.relay_lease)
        and not position <@ (select gaps from ${s}.relay_lease)`,
    `alter table ${s}.relay_lease drop column position, drop column gaps`,
    `drop index ${s}.inbox_received_at`,
    `alter table ${s}.inbox drop constraint inbox_pkey, drop column source`,
    `alter table ${s}.inbox add constraint inbox_pkey primary key (consumer, message_id)`,
    inboxDeadLetters(s),
    `insert into ${s}.inbox_dead_letters
     select consumer, topic, partition, "offset", message_id, type, key, headers, value, coalesce(error, ''), dead_at
       from ${s}.inbox_parked`,
    `drop table ${s}.outbox_parked, ${s}.inbox_parked, ${s}.inbox_in_flight, ${s}.messaging_audit, ${s}.jobs`,
  ],
  (s) => [
    `alter table ${s}.inbox_parked
       add constraint inbox_parked_consumer_topic_partition_offset_key unique (consumer, topic, partition, "offset"),
       drop column setbacks`,
    `alter table ${s}.jobs drop column setbacks`,
    `drop index ${s}.inbox_parked_unreadable, ${s}.inbox_parked_place, ${s}.inbox_parked_arrival`,
    `create index inbox_parked_key on ${s}.inbox_parked (consumer, key, "offset") where holds_key`,
    `alter table ${s}.inbox_in_flight drop column recorded_from, drop column recorded_to`,
    `drop index ${s}.inbox_age`,
    `create index inbox_received_at on ${s}.inbox using brin (received_at) with (pages_per_range = 32, autosummarize = on)`,
    `drop table ${s}.inbox_offsets, ${s}.messaging_incidents`,
    `alter table ${s}.relay_lease drop column origin, drop column ahead`,
  ],
  (s) => [removalOfVersion4Down(s)],
  administrationOfVersion5Down,
  administrationOfVersion6Down,
];
