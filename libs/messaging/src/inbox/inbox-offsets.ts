import { type DataSource, type EntityManager } from 'typeorm';
import { quoteIdentifier } from '../postgres/schema.js';

type PartitionOffsets = ReadonlyMap<number, bigint>;

/** The SQL of the offsets up to which a consumer has settled the partitions of its topic. */
export class InboxOffsets {
  private readonly table: string;

  constructor(
    schema: string,
    private readonly consumer: string,
    private readonly topic: string,
  ) {
    this.table = `${quoteIdentifier(schema)}.inbox_offsets`;
  }

  /** Returns the next offset to read, for each partition that has one. */
  async read(db: DataSource): Promise<Map<number, bigint>> {
    // inbox_offsets_pkey
    const rows: { partition: number; next: string }[] = await db.query(
      `select partition, next_offset::text as next from ${this.table} where consumer = $1 and topic = $2`,
      [this.consumer, this.topic],
    );
    return new Map(rows.map(({ partition, next }) => [partition, BigInt(next)]));
  }

  /**
   * Raises offsets and never lowers one, so a process that has lost its partitions without knowing it does no harm. Returns
   * false and writes nothing if a stored offset is lower than in `known`, the offsets that this process knows were stored: the
   * database must have been set back.
   */
  async raise(db: DataSource, offsets: PartitionOffsets, known: PartitionOffsets): Promise<boolean> {
    // inbox_offsets_pkey
    const rows: { lost: boolean }[] = await db.query(
      `with stored as materialized (
         select partition, next_offset from ${this.table} where consumer = $1 and topic = $2),
       lost as materialized (
         select from unnest($5::int[], $6::bigint[]) as known (partition, next_offset)
           left join stored using (partition)
          where stored.next_offset is null or stored.next_offset < known.next_offset),
       raised as (
         insert into ${this.table} as o (consumer, topic, partition, next_offset)
         select $1, $2, n.partition, n.next_offset from unnest($3::int[], $4::bigint[]) as n (partition, next_offset)
          where not exists (select from lost)
          order by n.partition
         on conflict (consumer, topic, partition) do update
            set next_offset = excluded.next_offset, updated_at = excluded.updated_at
          where o.next_offset < excluded.next_offset)
       select exists (select from lost) as lost`,
      [this.consumer, this.topic, ...columns(offsets), ...columns(known)],
    );
    return rows[0]?.lost !== true;
  }

  /** Writes the offsets as given, even if they are lower than the stored ones. */
  async set(db: DataSource | EntityManager, offsets: PartitionOffsets): Promise<void> {
    await db.query(
      `insert into ${this.table} (consumer, topic, partition, next_offset)
       select $1, $2, n.partition, n.next_offset from unnest($3::int[], $4::bigint[]) as n (partition, next_offset)
        order by n.partition
       on conflict (consumer, topic, partition) do update
          set next_offset = excluded.next_offset, updated_at = excluded.updated_at`,
      [this.consumer, this.topic, ...columns(offsets)],
    );
  }
}

function columns(offsets: PartitionOffsets): [number[], string[]] {
  return [[...offsets.keys()], [...offsets.values()].map(String)];
}
