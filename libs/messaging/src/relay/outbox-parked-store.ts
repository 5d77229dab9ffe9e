import { type LogSql } from '../log/log-sql.js';
import { type OutboxRow } from '../message/message.js';
import { type Connection } from '../postgres/connection.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { COLUMNS, OUT, type OutFields, toRow } from './outbox-columns.js';
import { type AggregateKey } from './parked-keys.js';

/** How many parked messages one statement moves to new positions. */
const MOVE_ROWS = 5000;

/** A key with parked messages: the positions of its first dead letter and its first waiting message, undefined if there is none. */
export interface ParkedKey extends AggregateKey {
  readonly dead: number | undefined;
  readonly waiting: number | undefined;
}

/** The SQL with which the leader parks messages of the outbox and publishes released ones, on the connection of the poll. */
export class OutboxParkedStore {
  private readonly schema: string;

  constructor(
    private readonly connection: Connection,
    private readonly log: LogSql,
    schemaName: string,
  ) {
    this.schema = quoteIdentifier(schemaName);
  }

  /** Parks a dead letter, or messages that wait behind one in its key. Safe to repeat. */
  async park(rows: readonly OutboxRow[], error?: string): Promise<void> {
    await this.connection.query(
      `insert into ${this.schema}.outbox_parked (${COLUMNS}, error, dead_at)
       select ${COLUMNS}, $2::text, case when $2::text is not null then clock_timestamp() end
         from ${this.schema}.outbox
        where position = any($1::bigint[])
       on conflict do nothing`,
      [rows.map(({ position }) => position), error ?? null],
    );
  }

  /** Returns the keys with parked messages. */
  async parkedKeys(): Promise<ParkedKey[]> {
    const { rows } = await this.connection.query<AggregateKey & { dead: string | null; waiting: string | null }>(
      `select aggregatetype, aggregateid, min(position) filter (where dead_at is not null) as dead,
              min(position) filter (where dead_at is null) as waiting
         from ${this.schema}.outbox_parked group by aggregatetype, aggregateid`,
    );
    return rows.map((key) => ({ ...key, dead: positionOf(key.dead), waiting: positionOf(key.waiting) }));
  }

  /**
   * Reads a key's oldest waiting parked messages in order, optionally only those before a position. Served by outbox_parked_key. The
   * scan begins after `after`, because the index keeps removed entries while any old transaction is open.
   */
  async readParked(
    { aggregatetype, aggregateid }: AggregateKey,
    { before, after }: { readonly before?: number | undefined; readonly after?: number | undefined },
    limit: number,
  ): Promise<OutboxRow[]> {
    const rows = await this.connection.queryArrays<OutFields>(
      `select ${OUT} from ${this.schema}.outbox_parked
        where aggregatetype = $1 and aggregateid = $2 and dead_at is null and ($3::bigint is null or position < $3)
          and position > coalesce($5::bigint, -9223372036854775808)
        order by outbox_parked.position limit $4`,
      [aggregatetype, aggregateid, before, limit, after],
    );
    return rows.map(toRow);
  }

  async markParkedDead(row: OutboxRow, error: string): Promise<void> {
    await this.connection.query(
      `update ${this.schema}.outbox_parked set dead_at = clock_timestamp(), error = $2 where position = $1`,
      [row.position, error],
    );
  }

  /** Removes messages of one key, in their order. Served by outbox_parked_key: by position alone, the planner may read the whole table. */
  async removeParked({ aggregatetype, aggregateid }: AggregateKey, rows: readonly OutboxRow[]): Promise<void> {
    const positions = rows.map(({ position }) => position);
    await this.connection.query(
      `delete from ${this.schema}.outbox_parked
        where aggregatetype = $1 and aggregateid = $2 and position between $3 and $4 and position = any($5::bigint[])`,
      [aggregatetype, aggregateid, positions[0], positions.at(-1), positions],
    );
  }

  /**
   * Moves parked messages, in their order, to positions before all that the log will reuse. Otherwise a message parked later at
   * the position of an older one would be taken for that one and lost. Safe to repeat.
   */
  async moveParkedBack(): Promise<void> {
    const { rows } = await this.connection.query<{ first: string | null; shift: string }>(
      `select min(position) as first, greatest(max(position), 0) - least(min(position), 1) + 1 as shift
         from ${this.schema}.outbox_parked`,
    );
    const { first, shift } = rows[0] ?? { first: null, shift: '0' };
    if (first === null) return;
    // In chunks that each stay well within the time limit of a statement. Moved rows lie before `first`.
    for (let moved = MOVE_ROWS; moved === MOVE_ROWS;) {
      const { rowCount } = await this.connection.query(
        `update ${this.schema}.outbox_parked set position = position - $2::bigint
          where position = any(array(select position from ${this.schema}.outbox_parked
                                      where position >= $1 order by position limit ${MOVE_ROWS}))`,
        [first, shift],
      );
      moved = rowCount ?? 0;
    }
  }

  /** Parks the messages of blocked types from before the log went back, so that they are published first once that is possible. */
  async parkOld(aggregateTypes: readonly string[]): Promise<void> {
    await this.connection.query(
      `insert into ${this.schema}.outbox_parked (${COLUMNS})
       select ${COLUMNS} from ${this.schema}.outbox
        where aggregatetype = any($1::text[])${this.log.conditionOf('old')}
       on conflict do nothing`,
      [aggregateTypes],
    );
  }
}

function positionOf(text: string | null): number | undefined {
  return text === null ? undefined : Number(text);
}
