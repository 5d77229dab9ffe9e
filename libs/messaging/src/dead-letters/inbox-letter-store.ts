import { type DataSource, type EntityManager } from 'typeorm';
import { type Causes } from './cause.js';
import { type InboxLetter, type LetterFilter, type WholeInboxLetter } from './dead-letter.js';
import { type Chosen, DeadRows } from './dead-rows.js';
import {
  type Chunk,
  type LetterCursor,
  type Listed,
  type ListPage,
  type LetterStore,
  type Outcomes,
  outcomesOf,
  type Preview,
  type Selection,
} from './letter-store.js';
import { historyOf, type StoredHistory } from '../postgres/failure-history.js';
import { quoteIdentifier } from '../postgres/schema.js';

/** The longest key of a readable message. The key of an unreadable one may be a megabyte. */
const SHOWN_KEY_BYTES = 1020;
const LETTER = `'inbox' as box, p.id::text as id, p.message_id as "messageId", p.source, p.type,
       substring(p.key for ${SHOWN_KEY_BYTES}) as key, p.consumer, p.topic,
       p.partition, p."offset"::text as "offset", p.attempts, p.error, p.dead_at as "diedAt"`;

type Row = Omit<InboxLetter, 'key'> & { readonly key: Buffer | null };

/** The SQL of the inbox's dead letters, for all consumers. */
export class InboxLetterStore implements LetterStore {
  private readonly schema: string;
  private readonly parked: string;
  private readonly dead: DeadRows;

  constructor(
    schema: string,
    /** The consumers whose dead letters do not hold their keys. */
    private readonly consumersNotHoldingKeys: readonly string[],
  ) {
    this.schema = quoteIdentifier(schema);
    this.parked = `${this.schema}.inbox_parked`;
    // inbox_parked_pkey is in the order of arrival, so earlier letters of a key come first, even if dead letters hold no key. Lists are
    // served by inbox_parked_dead.
    this.dead = new DeadRows({
      table: this.parked,
      id: 'id',
      idType: 'bigint',
      indexed: 'true',
      type: 'type',
      others: `($5::text is null or p.consumer = $5) and ($6::text is null or p.type = $6)
        and ($7::bytea is null or p.key = $7) and ($8::text is null or p.topic = $8)`,
      otherCount: 4,
    });
  }

  async list(db: DataSource, filter: LetterFilter, page: ListPage): Promise<Listed<InboxLetter>> {
    const { rows, lookedUpTo } = await this.dead.list<Row>(db, LETTER, chosenOf(filter), page);
    return { rows: rows.map(withTextKey), lookedUpTo };
  }

  async causes(db: DataSource, filter: LetterFilter): Promise<Causes> {
    return this.dead.causes(db, chosenOf(filter));
  }

  async find(db: DataSource, id: string): Promise<WholeInboxLetter | undefined> {
    // The primary key; inbox_parked_arrival for the messages behind the letter.
    const rows: (Row & Omit<WholeInboxLetter, 'key' | 'history'> & { history: StoredHistory })[] = await db.query(
      `select ${LETTER}, p.key as "rawKey", p.headers, p.value, p.recorded_at as "recordedAt", p.parked_at as "parkedAt", p.history,
              (select count(*)::int from ${this.parked} w
                where w.consumer = p.consumer and w.key = p.key and w.holds_key and w.id > p.id
                  and w.dead_at is null and p.holds_key and p.consumer <> all($2::text[])) as waiting
         from ${this.parked} p where p.id = $1 and p.dead_at is not null`,
      [id, this.consumersNotHoldingKeys],
    );
    return rows.map((row) => ({ ...withTextKey(row), history: historyOf(row.history) }))[0];
  }

  async preview(db: DataSource, selection: Selection<LetterFilter>, limit: number): Promise<Preview<InboxLetter>> {
    const { total, isExact: totalIsExact, first } = await this.dead.count(db, chosenOf(selection), limit);
    const rows = await this.dead.those<Row>(db, LETTER, chosenOf(selection, first));
    return { total, totalIsExact, first: rows.map(withTextKey) };
  }

  async next(
    db: DataSource,
    selection: Selection<LetterFilter>,
    after: LetterCursor | undefined,
    limit: number,
  ): Promise<Chunk> {
    return this.dead.next(db, chosenOf(selection), after, limit);
  }

  /** Takes the locks of {@link InboxStore.lockKey}, in the order that every transaction uses for several of them. */
  async lockKeys(tx: EntityManager, ids: readonly string[]): Promise<void> {
    await tx.query(
      `select pg_advisory_xact_lock(of_key)
         from (select distinct hashtextextended($2 || '.' || p.consumer || ':' || encode(p.key, 'hex'), 0) as of_key
                 from ${this.parked} p where p.id = any($1::bigint[]) and p.holds_key
                order by of_key offset 0) as keys`,
      [ids, this.schema],
    );
  }

  async take(tx: EntityManager, selection: Selection<LetterFilter>, ids: readonly string[]): Promise<InboxLetter[]> {
    const rows = await this.dead.those<Row>(tx, LETTER, chosenOf(selection, ids), 'for update');
    return rows.map(withTextKey);
  }

  async retry(tx: EntityManager, ids: readonly string[]): Promise<void> {
    await tx.query(
      `update ${this.parked} set dead_at = null, attempts = 0,
              next_attempt_at = case when not holds_key or key is null then clock_timestamp() end
        where id = any($1::bigint[])`,
      [ids],
    );
    await this.wakeHeads(tx, await this.keysOf(tx, ids));
    // inbox_in_flight_partition. Deaths are counted from zero: a letter that crashed processes still has its mark, and would
    // become a dead letter again before it is attempted. Marks that another transaction is removing can be skipped.
    await tx.query(
      `delete from ${this.schema}.inbox_in_flight where id in (
         select m.id from ${this.schema}.inbox_in_flight m
           join ${this.parked} p using (consumer, topic, partition)
          where p.id = any($1::bigint[]) and m.first_offset = p."offset" and m.last_offset = p."offset"
            and coalesce(p.recorded_at between m.recorded_from and m.recorded_to, true)
            for update of m skip locked)`,
      [ids],
    );
  }

  /** Deletes the letters. Their inbox rows stay, so a redelivered message is dropped as a duplicate. */
  async discard(tx: EntityManager, ids: readonly string[]): Promise<void> {
    const keys = await this.keysOf(tx, ids);
    await tx.query(`delete from ${this.parked} where id = any($1::bigint[])`, [ids]);
    await this.wakeHeads(tx, keys);
  }

  async outcomes(db: DataSource, ids: readonly string[]): Promise<Outcomes> {
    // Served by inbox_parked_pkey. A retry counts attempts from zero, so an attempt that has failed is a new one.
    const rows: Parameters<typeof outcomesOf>[0] = await db.query(
      `select id::text as id, attempts > 0 or dead_at is not null as "hasFailed", error from ${this.parked} p
        where id = any($1::bigint[]) order by p.id`,
      [ids],
    );
    return outcomesOf(rows);
  }

  private async keysOf(tx: EntityManager, ids: readonly string[]): Promise<{ consumer: string; key: Buffer }[]> {
    return tx.query(`select distinct consumer, key from ${this.parked} where id = any($1::bigint[]) and holds_key`, [
      ids,
    ]);
  }

  /** Makes the first message of each key due, unless it is a dead letter that holds the key, or already has a due time. */
  private async wakeHeads(tx: EntityManager, keys: readonly { consumer: string; key: Buffer }[]): Promise<void> {
    // inbox_parked_arrival. A locked head is skipped, because the transaction that holds it has just set its due time.
    await tx.query(
      `update ${this.parked} set next_attempt_at = clock_timestamp()
        where id in (
          select p.id from ${this.parked} p
           where p.dead_at is null and p.next_attempt_at is null and p.id in (
             select head.id
               from unnest($1::text[], $2::bytea[]) as k (consumer, key)
              cross join lateral (
                select e.id from ${this.parked} e
                 where e.consumer = k.consumer and e.key = k.key and e.holds_key
                   and (e.dead_at is null or e.consumer <> all($3::text[]))
                 order by e.id limit 1) as head)
             for update skip locked)`,
      [keys.map(({ consumer }) => consumer), keys.map(({ key }) => key), this.consumersNotHoldingKeys],
    );
  }
}

function chosenOf(
  { ids: filtered, diedAfter, diedBefore, cause, consumer, type, key, topic }: Selection<LetterFilter>,
  ids = filtered,
): Chosen {
  return {
    ids,
    diedAfter,
    diedBefore,
    cause,
    others: [consumer, type, key === undefined ? undefined : Buffer.from(key), topic],
  };
}

/** Shows the key as text. Zero bytes are replaced, because jsonb cannot hold them either. */
function withTextKey<R extends { readonly key: Buffer | null }>(row: R): Omit<R, 'key'> & { key: string | null } {
  return { ...row, key: row.key && row.key.toString().replaceAll('\0', '\uFFFD') };
}
