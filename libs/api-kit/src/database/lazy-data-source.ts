import { DataSource, type DataSourceOptions } from 'typeorm';
import { type DatabaseOptions, poolConfig, typeOrmOptions } from './database-options.js';
import { boundedPool, type SettledPoolConfig } from './pool.js';

/** Creates an initialized DataSource without Nest, for scripts and tests. `destroy()` closes its connections. */
export async function createDataSource(options: DatabaseOptions): Promise<DataSource> {
  return await new LazyDataSource(typeOrmOptions(options), poolConfig(options)).initialize();
}

/**
 * A DataSource that can be initialized without a database. TypeORM connects in `initialize()` and fails without one, although everything
 * that it learns there is known in advance. So this class builds the metadata of the entities and gives the driver a pool, which connects
 * on first use. There is no state between "not connected yet" and "connected" to get wrong: a database that is available late is handled
 * like one that comes back after an outage.
 */
export class LazyDataSource extends DataSource {
  constructor(
    options: DataSourceOptions,
    private readonly pool: SettledPoolConfig,
  ) {
    super(options);
  }

  override async initialize(): Promise<this> {
    const schema = (this.options as { schema: string }).schema;
    const pool = boundedPool(this.pool);
    Object.assign(this.driver, {
      master: pool,
      // TypeORM checks the version only for features older than PostgreSQL 14, the oldest supported version.
      version: '14.0',
      isGeneratedColumnsSupported: true,
      searchSchema: schema,
      schema,
    });
    await this.buildMetadatas();
    Object.assign(this, { isInitialized: true });
    return this;
  }
}
