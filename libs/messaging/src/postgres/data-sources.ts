import { type DataSource } from 'typeorm';

/**
 * The service's DataSources, as the module finds them when they are first used. They are not injected themselves, because a
 * process that only relays may have none.
 */
export abstract class DataSources {
  /** The service's own, for requests. */
  abstract readonly default: DataSource;
  /** Messages and jobs are handled on it. The same as `default` unless `MessagingOptions.dataSource` names another. */
  abstract readonly handling: DataSource;
}
