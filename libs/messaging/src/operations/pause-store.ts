import { type DataSource, type EntityManager } from 'typeorm';
import { quoteIdentifier } from '../postgres/schema.js';
import { type Pause, type PauseKind } from './known-pauses.js';

/** Bounds the column of the poll. A service has fewer consumers and queues. */
const MAX_PAUSES = 1000;

/** A pause as JSON. */
export interface PauseJson extends Omit<Pause, 'since'> {
  readonly since: string;
}

/** Returns a column of the poll's statement: what is paused, as JSON, or null. Served by messaging_pauses_pkey. */
export function pausesColumn(schema: string): string {
  return `(select json_agg(json_build_object('kind', kind, 'name', name, 'since', paused_at, 'actor', actor, 'reason', reason))
             from (select * from ${quoteIdentifier(schema)}.messaging_pauses order by kind, name limit ${MAX_PAUSES}) as paused)`;
}

export function pauseOf({ since, ...pause }: PauseJson): Pause {
  return { ...pause, since: new Date(since) };
}

/** The SQL of pauses. Every statement is served by messaging_pauses_pkey. */
export class PauseStore {
  private readonly table: string;

  constructor(schema: string) {
    this.table = `${quoteIdentifier(schema)}.messaging_pauses`;
  }

  async list(db: DataSource | EntityManager): Promise<Pause[]> {
    return db.query(
      `select kind, name, paused_at as since, actor, reason from ${this.table} order by kind, name limit ${MAX_PAUSES}`,
    );
  }

  /** Adds the pause. Returns undefined if there is one already. */
  async add(
    tx: EntityManager,
    { kind, name, actor, reason }: Pick<Pause, 'kind' | 'name' | 'actor' | 'reason'>,
  ): Promise<Pause | undefined> {
    const [added]: Pause[] = await tx.query(
      `insert into ${this.table} (kind, name, actor, reason) values ($1, $2, $3, $4)
           on conflict (kind, name) do nothing
       returning kind, name, paused_at as since, actor, reason`,
      [kind, name, actor, reason],
    );
    return added;
  }

  async find(tx: EntityManager, kind: PauseKind, name: string): Promise<Pause | undefined> {
    const [found]: Pause[] = await tx.query(
      `select kind, name, paused_at as since, actor, reason from ${this.table} where kind = $1 and name = $2`,
      [kind, name],
    );
    return found;
  }

  /** Removes the pause and returns it; undefined if there was none. */
  async remove(tx: EntityManager, kind: PauseKind, name: string): Promise<Pause | undefined> {
    const [[removed]]: [Pause[], number] = await tx.query(
      `delete from ${this.table} where kind = $1 and name = $2
       returning kind, name, paused_at as since, actor, reason`,
      [kind, name],
    );
    return removed;
  }
}
