import { type DynamicModule, Injectable, Logger, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { withoutRefusal } from '@twinbox/messaging/session-client';
import { DataSource } from 'typeorm';
import { type DatabaseOptions, messagingOptions, poolConfig, typeOrmOptions } from './database-options.js';
import { reasonOf } from './database-errors.js';
import { LazyDataSource } from './lazy-data-source.js';

const MESSAGING = 'messaging';

/**
 * The token of the DataSource for work that no request waits for: messages, jobs and timers. It has its own pool, so that requests waiting
 * for a lock do not delay messages, and vice versa.
 */
export const MESSAGING_DATA_SOURCE = getDataSourceToken(MESSAGING);

/**
 * Provides TypeORM's DataSource for requests, and a second one for {@link MESSAGING_DATA_SOURCE messaging}. The service starts without a
 * database: connections are opened on first use and again after an outage. Until then requests get a 503 within 2 s.
 */
export function databaseModule(options: DatabaseOptions): DynamicModule {
  return {
    module: DatabaseModule,
    imports: [
      TypeOrmModule.forRootAsync({
        useFactory: () => ({ ...typeOrmOptions(options), autoLoadEntities: true }),
        dataSourceFactory: async (typeOrm = typeOrmOptions(options)) =>
          await new LazyDataSource(typeOrm, poolConfig(options)).initialize(),
      }),
      TypeOrmModule.forRootAsync({
        name: MESSAGING,
        useFactory: () => ({ ...typeOrmOptions(options), autoLoadEntities: true }),
        dataSourceFactory: async (typeOrm = typeOrmOptions(options)) =>
          await new LazyDataSource(typeOrm, poolConfig(messagingOptions(options))).initialize(),
      }),
    ],
    providers: [DatabaseStartLog],
  };
}

/** Logs once at start whether the database is available, so that a service does not wait for it silently. */
@Injectable()
class DatabaseStartLog implements OnApplicationBootstrap {
  private readonly logger = new Logger('Database');

  constructor(private readonly dataSource: DataSource) {}

  onApplicationBootstrap(): void {
    withoutRefusal(() => this.dataSource.query('select 1')).then(
      () => this.logger.log('The database is available.'),
      (error: unknown) =>
        this.logger.warn(`The database is not available yet, so requests get a 503: ${reasonOf(error)}`),
    );
  }
}

@Module({})
class DatabaseModule {}
