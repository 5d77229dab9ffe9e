import { type DataSource, type EntityManager } from 'typeorm';
import { type Causes } from './cause.js';
import { type LetterFilter, type OutboxLetter, type WholeOutboxLetter } from './dead-letter.js';
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
import { type TopicContract } from '../message/topic.js';
import { quoteIdentifier } from '../postgres/schema.js';

const LETTER = `'outbox' as box, p.position::text as id, p.id as "messageId", p.type, p.aggregateid as key,
       p.aggregatetype as "aggregateType", p.sequence::text as sequence, p.error, p.dead_at as "diedAt"`;

type Row = Omit<OutboxLetter, 'topic'>;

/** The SQL of the outbox's dead letters. The relay publishes the messages behind them once no dead letter of the key is left. */
export class OutboxLetterStore implements LetterStore {
  private readonly schema: string;
  private readonly parked: string;
  private readonly dead: DeadRows;

  constructor(
    schema: string,
    private readonly publishes: readonly Pick<TopicContract, 'name' | 'aggregateType'>[],
  ) {
    this.schema = quoteIdentifier(schema);
    this.parked = `${this.schema}.outbox_parked`;
    // Served by outbox_parked_pkey, and lists by outbox_parked_dead.
    this.dead = new DeadRows({
      table: this.parked,
      id: 'position',
      idType: 'bigint',
      indexed: 'true',
      type: 'type',
      others: `($5::text is null or p.aggregatetype = $5) and ($6::text is null or p.type = $6)
        and ($7::text is null or p.aggregateid = $7) and ($8::text[] is null or p.aggregatetype = any($8))`,
      otherCount: 4,
    });
  }

  async list(db: DataSource, filter: LetterFilter, page: ListPage): Promise<Listed<OutboxLetter>> {
    const { rows, lookedUpTo } = await this.dead.list<Row>(db, LETTER, this.chosenOf(filter), page);
    return { rows: rows.map((row) => this.withTopic(row)), lookedUpTo };
  }

  async causes(db: DataSource, filter: LetterFilter): Promise<Causes> {
    return this.dead.causes(db, this.chosenOf(filter));
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

  async preview(db: DataSource, selection: Selection<LetterFilter>, limit: number): Promise<Preview<OutboxLetter>> {
    const { total, isExact: totalIsExact, first } = await this.dead.count(db, this.chosenOf(selection), limit);
    const rows = await this.dead.those<Row>(db, LETTER, this.chosenOf(selection, first));
    return { total, totalIsExact, first: rows.map((row) => this.withTopic(row)) };
  }

  async next(
    db: DataSource,
    selection: Selection<LetterFilter>,
    after: LetterCursor | undefined,
    limit: number,
  ): Promise<Chunk> {
    return this.dead.next(db, this.chosenOf(selection), after, limit);
  }

  /** No locks needed: only the relay publishes, and it reads the parked messages again after an operator's change. */
  async lockKeys(): Promise<void> {}

  async take(tx: EntityManager, selection: Selection<LetterFilter>, ids: readonly string[]): Promise<OutboxLetter[]> {
    const rows = await this.dead.those<Row>(tx, LETTER, this.chosenOf(selection, ids), 'for update');
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
  private chosenOf(
    { ids: filtered, diedAfter, diedBefore, cause, aggregateType, type, key, topic }: Selection<LetterFilter>,
    ids = filtered,
  ): Chosen {
    const ofTopic = topic === undefined ? undefined : this.publishes.filter(({ name }) => name === topic);
    const types = ofTopic?.map((contract) => contract.aggregateType);
    return { ids, diedAfter, diedBefore, cause, others: [aggregateType, type, key, types] };
  }

  private withTopic<R extends { readonly aggregateType: string }>(row: R): R & { topic: string | null } {
    return { ...row, topic: this.publishes.find((topic) => topic.aggregateType === row.aggregateType)?.name ?? null };
  }
}
