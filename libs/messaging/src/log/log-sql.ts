import { type Connection } from '../postgres/connection.js';
import { quoteIdentifier } from '../postgres/schema.js';

/**
 * The part of the log to read:
 * - `all`: the whole log.
 * - `drawn`: up to the current value of the sequence. If the sequence was set back and older rows remain beyond it, a cursor past
 *   that value would miss the rows written next.
 * - `old`: rows written before the sequence was set back or restarted. Its row in the catalogue is as old as its restart.
 */
export type LogPart = 'all' | 'drawn' | 'old';

/** SQL about the log of one schema, as the tables are on this connection. See `LogState`. */
export class LogSql {
  private constructor(
    /** The quoted name of the schema. */
    private readonly schema: string,
    /** The quoted name of the sequence of positions; undefined if the table has none. */
    private readonly sequence: string | undefined,
    /** Whether the service may read the sequence, as of the last poll. Without the grant, a sequence that is set back goes unnoticed. */
    public canReadSequence: boolean,
  ) {}

  /** Finds the sequence of the outbox. */
  static async find(connection: Connection, schemaName: string): Promise<LogSql> {
    const schema = quoteIdentifier(schemaName);
    const { rows } = await connection.query<{ sequence: string | null; readable: boolean | null }>(
      `select sequence, has_sequence_privilege(sequence, 'select') as readable
         from pg_get_serial_sequence($1, 'position') as sequence`,
      [`${schema}.outbox`],
    );
    return new LogSql(schema, rows[0]?.sequence ?? undefined, rows[0]?.readable ?? false);
  }

  /** SQL for `LogState.location`. */
  get location(): string {
    const { outbox, sequence } = this.relations;
    return `concat(extract(epoch from pg_postmaster_start_time()), ' ', pg_relation_filepath(${sequence ?? outbox}))`;
  }

  /** SQL for `LogState.origin`, which the lease row records. */
  get origin(): string {
    const { lease, outbox, sequence } = this.relations;
    return `concat_ws('/', ${lease}::oid, ${outbox}::oid, coalesce(pg_relation_filenode(${sequence ?? 'null'}), 0),
              pg_relation_filenode(${outbox}))`;
  }

  /** SQL for the relations as `regclass`. The sequence is undefined if the table has none. */
  get relations(): { lease: string; outbox: string; sequence: string | undefined } {
    const named = (name: string) => `'${name.replaceAll("'", "''")}'::regclass`;
    return {
      lease: named(`${this.schema}.relay_lease`),
      outbox: named(`${this.schema}.outbox`),
      sequence: this.sequence === undefined ? undefined : named(this.sequence),
    };
  }

  /** SQL for the last position that was handed out; null if the service may not read it. */
  get lastPosition(): string {
    if (!this.sequence || !this.canReadSequence) return 'null::bigint';
    return `(select last_value - (not is_called)::int from ${this.sequence})`;
  }

  /** SQL for the condition that the sequence is not before a position, to be added to others. */
  sequenceHasPassed(position: string): string {
    // Cheaper than reading the sequence as a table; null if nothing was drawn since it was set.
    if (!this.sequence || !this.canReadSequence) return '';
    return ` and (select coalesce(pg_sequence_last_value(${this.relations.sequence}) >= ${position}, true))`;
  }

  /** SQL for the condition that a row belongs to a part of the log, to be added to others. */
  conditionOf(part: LogPart): string {
    const { sequence } = this.relations;
    if (part === 'drawn') return ` and position <= coalesce(${this.lastPosition}, 9223372036854775807)`;
    if (part === 'old')
      return ` and (position > ${this.lastPosition} or
                    age(xmin) > (select age(xmin) from pg_class where oid = ${sequence ?? 'null'}))`;
    return '';
  }
}
