import 'reflect-metadata';
import { commandLineDataSource } from '@twinbox/api-kit';
import { entities } from './entities.js';

/** For TypeORM's command line (`npm run migrate:generate`), which compares these entities with the database. */
export default commandLineDataSource('payments', entities);
