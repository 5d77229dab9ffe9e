import { type DataSource, type EntityManager } from 'typeorm';
import { type Causes, groupedByCause, toCauses } from './cause.js';
import { type LetterFilter, type OutboxLetter, type WholeOutboxLetter } from './dead-letter.js';
import {
  type Chunk,
  filterValues,
  type LetterCursor,
  type LetterPlace,
  type LetterStore,
  matches,
  type Outcomes,
  outcomesOf,
  type Selection,
} from './letter-store.js';
import { type TopicContract } from '../message/topic.js';
import { microsOf, timeOf } from '../postgres/micros.js';
import { quoteIdentifier } from '../postgres/schema.js';

const MATCHES = matches({
  id: 'p.position',
  owner: 'p.aggregatetype',
  key: 'p.aggregateid',
  keyType: 'text',
  topic: 'p.aggregatetype',
});
const LETTER = `'outbox' as box, p.position::text as id, p.id as "messageId", p.type, p.aggregateid as key,
       p.aggregatetype as "aggregateType", p.sequence::text as sequence, p.error, p.dead_at as "diedAt"`;

type Row = Omit<OutboxLetter, 'topic'>;

/** The SQL of the outbox's dead letters. The relay publishes the messages behind them once no dead letter of the key is left. */
export class OutboxLetterStore implements LetterStore {
  private readonly schema: string;
  private readonly parked: string;

  constructor(
    schema: string,
    private readonly publishes: readonly Pick<TopicContract, 'name' | 'aggregateType'>[],
  ) {
    this.schema = quoteIdentifier(schema);
    this.parked = `${this.schema}.outbox_parked`;
  }

  async list(
    db: DataSource,
    filter: LetterFilter,
    { limit, oldestFirst, after }: { limit: number; oldestFirst: boolean; after?: LetterPlace | undefined },
  ): Promise<(OutboxLetter & LetterPlace)[]> {
    const [beyond, order] = oldestFirst ? ['>', 'asc'] : ['<', 'desc'];
    // Served by outbox_parked_dead.
    const rows: (Row & LetterPlace)[] = await db.query(
      `select ${LETTER}, ${microsOf('p.dead_at')} as "diedAtMicros" from ${this.parked} p
        where ${MATCHES}
          and ($9::bigint is null or (p.dead_at, p.position) ${beyond} (${timeOf('$9')}, $10::bigint))
        order by p.dead_at ${order}, p.position ${order} limit $11`,
      [...this.valuesOf(filter), after?.diedAtMicros, after?.id, limit],
    );
    return rows.map((row) => this.withTopic(row));
  }

  async causes(db: DataSource, filter: LetterFilter): Promise<Causes> {
    // Served by outbox_parked_dead.
    const rows: Parameters<typeof toCauses>[0] = await db.query(
      groupedByCause(
        `select p.error, p.type, p.dead_at from ${this.parked} p where ${MATCHES} order by p.dead_at desc, p.position desc`,
      ),
      this.valuesOf(filter),
    );
    return toCauses(rows);
  }

  async find(db: DataSource, id: string): Promise<WholeOutboxLetter | undefined> {
    // The primary key; outbox_parked_key for the messages behind the letter.
    const rows: (Row & Omit<WholeOutboxLetter, 'topic' | 'history'>)[] = await db.query(
      `select ${LETTER}, p.dataschema, p.payload, p.created_at as "createdAt",
              (select count(*)::int from ${this.parked} w
                where w.aggregatetype = p.aggregatetype and w.aggregateid = p.aggregateid
                  and w.position > p.position and w.dead_at is null) as waiting
         from ${this.parked} p where p.position = $1 and p.dead_at is not null`,
      [id],
    );
    return rows.map((row) => ({ ...this.withTopic(row), history: [{ at: row.diedAt, error: row.error }] }))[0];
  }

  async count(db: DataSource | EntityManager, selection: Selection<LetterFilter>): Promise<number> {
    // Served by outbox_parked_dead.
    const [row]: { total: number }[] = await db.query(
      `select count(*)::float8 as total from ${this.parked} p where ${MATCHES}`,
      this.valuesOf(selection),
    );
    return row?.total ?? 0;
  }

  async first(
    db: DataSource | EntityManager,
    selection: Selection<LetterFilter>,
    limit: number,
  ): Promise<OutboxLetter[]> {
    // Served by outbox_parked_pkey.
    const rows: Row[] = await db.query(
      `select ${LETTER} from ${this.parked} p where ${MATCHES} order by p.position limit $9`,
      [...this.valuesOf(selection), limit],
    );
    return rows.map((row) => this.withTopic(row));
  }

  async next(
    db: DataSource,
    selection: Selection<LetterFilter>,
    after: LetterCursor | undefined,
    limit: number,
  ): Promise<Chunk | undefined> {
    // Served by outbox_parked_pkey.
    const rows: { position: string }[] = await db.query(
      `select p.position from ${this.parked} p
        where ${MATCHES} and ($9::bigint is null or p.position > $9) order by p.position limit $10`,
      [...this.valuesOf(selection), after?.[0], limit],
    );
    const last = rows.at(-1);
    return last && { ids: rows.map(({ position }) => position), after: [last.position] };
  }

  /** No locks needed: only the relay publishes, and it reads the parked messages again after an operator's change. */
  async lockKeys(): Promise<void> {}

  async take(tx: EntityManager, selection: Selection<LetterFilter>, ids: readonly string[]): Promise<OutboxLetter[]> {
    const rows: Row[] = await tx.query(
      `select ${LETTER} from ${this.parked} p where ${MATCHES} order by p.position for update`,
      this.valuesOf(selection, ids),
    );
    return rows.map((row) => this.withTopic(row));
  }

  async retry(tx: EntityManager, ids: readonly string[]): Promise<void> {
    await tx.query(`update ${this.parked} set dead_at = null where position = any($1::bigint[])`, [ids]);
  }

  async discard(tx: EntityManager, ids: readonly string[]): Promise<void> {
    await tx.query(`select ${this.schema}.outbox_discard($1)`, [ids]);
  }

  async outcomes(db: DataSource, ids: readonly string[]): Promise<Outcomes> {
    // Served by outbox_parked_pkey.
    const rows: Parameters<typeof outcomesOf>[0] = await db.query(
      `select position::text as id, dead_at is not null as "hasFailed", error from ${this.parked}
        where position = any($1::bigint[]) order by position`,
      [ids],
    );
    return outcomesOf(rows);
  }

  /** The table has no topic, so the topics' aggregate types stand for them. */
  private valuesOf(filter: Selection<LetterFilter>, ids = filter.ids): unknown[] {
    const { key, topic } = filter;
    const ofTopic = topic === undefined ? undefined : this.publishes.filter(({ name }) => name === topic);
    return filterValues(
      filter,
      ids,
      key,
      ofTopic?.map(({ aggregateType }) => aggregateType),
    );
  }

  private withTopic<R extends { readonly aggregateType: string }>(row: R): R & { topic: string | null } {
    return { ...row, topic: this.publishes.find((topic) => topic.aggregateType === row.aggregateType)?.name ?? null };
  }
}
