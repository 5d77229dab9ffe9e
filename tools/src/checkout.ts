import { createHash } from 'node:crypto';
import { resolve } from 'node:path';

/** The root of this checkout, two levels above both src and dist. */
export const root = resolve(import.meta.dirname, '../..');

/** Where `npm start` and the test runner keep databases, downloads and logs. Deleting it gives a clean start. */
export const home = resolve(root, '.twinbox');

/** Hashes a path to a short name, for names that must differ per checkout or data directory: container projects, process titles. */
export const shortHash = (path: string): string => createHash('sha256').update(path).digest('hex').slice(0, 8);
