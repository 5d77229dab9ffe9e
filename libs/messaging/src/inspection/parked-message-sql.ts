import { quoteIdentifier } from '../postgres/schema.js';

const SHOWN_KEY_BYTES = 1020;

/** The parts of a statement about the parked messages of a box. */
interface ParkedSql {
  /** The columns of a list. */
  readonly row: string;
  /** The tables, the conditions ($1 to $7), the order and the limit ($8). */
  readonly from: string;
  /** Further columns of one message. */
  readonly whole: string;
}

/** Returns the parts of the statements of each box. $1 has the owners whose dead letters do not hold their keys. */
export function parkedSql(schema: string): Readonly<Record<'outbox' | 'inbox', ParkedSql>> {
  const s = quoteIdentifier(schema);
  // A blocker is the first of its key, found by inbox_parked_arrival or outbox_parked_key.
  return {
    inbox: {
      row: `'inbox' as box, p.id::text as id, p.message_id as "messageId", p.type, substring(p.key for ${SHOWN_KEY_BYTES}) as key,
            p.consumer, p.topic, p.attempts, p.error, p.parked_at as since, p.next_attempt_at as "nextAttemptAt",
            b.id::text as blocker, b.dead_at is not null as "blockerDead"`,
      from: `${s}.inbox_parked p left join lateral (
            select e.id, e.dead_at from ${s}.inbox_parked e
             where e.consumer = p.consumer and e.key = p.key and e.holds_key and p.holds_key and e.id < p.id
               and (e.dead_at is null or e.consumer <> all($1::text[]))
             order by e.id limit 1) as b on true
          where p.dead_at is null and ($2::bigint is null or p.id = $2) and ($3::bigint is null or p.id > $3)
            and ($4::text is null or p.consumer = $4) and ($5::text[] is null or p.topic = any($5))
            and ($6::text is null or p.type = $6) and ($7::bytea is null or p.key = $7)
          order by p.id limit $8`,
      whole: 'p.headers, p.value, p.history',
    },
    outbox: {
      row: `'outbox' as box, p.position::text as id, p.id::text as "messageId", p.type, p.aggregateid as key, null as consumer,
            p.aggregatetype as topic, 0 as attempts, null as error, p.created_at as since, null as "nextAttemptAt",
            b.position::text as blocker, true as "blockerDead"`,
      from: `${s}.outbox_parked p left join lateral (
            select e.position from ${s}.outbox_parked e
             where e.aggregatetype = p.aggregatetype and e.aggregateid = p.aggregateid and e.position < p.position
               and e.dead_at is not null and e.aggregatetype <> all($1::text[])
             order by e.position limit 1) as b on true
          where p.dead_at is null and ($2::bigint is null or p.position = $2) and ($3::bigint is null or p.position > $3)
            and ($4::text is null) and ($5::text[] is null or p.aggregatetype = any($5))
            and ($6::text is null or p.type = $6) and ($7::bytea is null or p.aggregateid = convert_from($7, 'UTF8'))
          order by p.position limit $8`,
      whole: `null as headers, convert_to(p.payload, 'UTF8') as value, '[]'::jsonb as history`,
    },
  };
}
