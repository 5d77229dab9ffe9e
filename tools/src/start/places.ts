import { join, relative } from 'node:path';
import { home } from '../checkout.js';

/** Where the local servers keep their data. */
export const DATA = { postgres: join(home, 'data/postgres'), kafka: join(home, 'data/kafka') };

export const LOGS = join(home, 'logs');

export const logFile = (name: string): string => join(LOGS, `${name}.log`);

/** Returns the path as the user would type it. */
export const displayPath = (path: string): string => relative(process.cwd(), path) || path;
