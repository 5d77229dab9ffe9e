import { createHash } from 'node:crypto';
import { resolve } from 'node:path';

/** The root of this checkout: two levels above both src and dist. */
export const root = resolve(import.meta.dirname, '../..');

/** Everything `npm start` and the test runner keep: databases, downloads, logs. Deleting it starts afresh. */
export const home = resolve(root, '.twinbox');

/** A short name for a path, for what must be told apart per checkout or data directory: container projects, process titles. */
export const shortHash = (path: string): string => createHash('sha256').update(path).digest('hex').slice(0, 8);
