import 'reflect-metadata';
import { DataSource } from 'typeorm';
import { entities } from './entities.js';

/** For TypeORM's command line (`npm run migrate:generate`), which compares these entities with the database. */
export default new DataSource({
  type: 'postgres',
  url: process.env['DATABASE_URL'] ?? '',
  schema: 'payments',
  entities,
});
