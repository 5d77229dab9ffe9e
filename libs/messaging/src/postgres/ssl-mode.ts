import { readFileSync } from 'node:fs';

/** Why other modes than `disable` and `verify-full` are refused. */
const ONLY_LOOKS_SECURE: Readonly<Record<string, string>> = {
  allow: 'sends everything in plain text unless the server insists on TLS',
  prefer: 'sends everything in plain text if anyone on the way answers that there is no TLS',
  require: 'encrypts, but accepts any server',
  'no-verify': 'encrypts, but accepts any server',
  'verify-ca': 'accepts any server with a certificate of the authority, whatever its host name is',
};
const INSTEAD = 'Use sslmode=verify-full with sslrootcert, or sslmode=disable';

/**
 * Returns why connections to this URL would not be as secure as they look, or undefined. node-postgres gives some modes another meaning
 * than libpq, so only the two are accepted whose meaning is clear. Without `sslmode`, PGSSLMODE counts, and without either there is no TLS.
 */
export function sslModeProblem(url: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const query = queryOf(url);
  if (url.includes('#')) return 'it contains a #, which must be written as %23';
  for (const name of ['sslmode', ...FILES]) if (query.getAll(name).length > 1) return `${name} is set twice`;
  for (const name of ['ssl', 'uselibpqcompat'])
    if (query.has(name)) return `${name} is not supported, because its meaning has changed. ${INSTEAD}`;
  const inUrl = query.getAll('sslmode');
  const variable = inUrl.length === 0 ? env['PGSSLMODE'] : undefined;
  for (const mode of variable ? [variable] : inUrl)
    if (mode !== 'disable' && mode !== 'verify-full') {
      const name = variable ? 'PGSSLMODE' : 'sslmode';
      return `${name}=${mode} ${ONLY_LOOKS_SECURE[mode] ?? 'is unknown'}. ${INSTEAD}`;
    }
  const files = FILES.filter((name) => query.has(name));
  if (files.length > 0 && !inUrl.includes('verify-full'))
    return `${files.join(' and ')} need sslmode=verify-full`.replace(/^(\w+) need/, '$1 needs');
  return query.has('sslcert') === query.has('sslkey') ? undefined : 'sslcert and sslkey need each other';
}

const FILES = ['sslrootcert', 'sslcert', 'sslkey'];

/** Returns the parameters of the URL as node-postgres reads them. */
function queryOf(url: string): URLSearchParams {
  return URL.parse(url, 'postgres://base')?.searchParams ?? new URLSearchParams();
}

/** Returns which of the files that the URL names cannot be read, or undefined. */
export function sslFileProblem(url: string): string | undefined {
  const query = queryOf(url);
  for (const name of FILES) {
    const path = query.get(name);
    if (path === null) continue;
    if (path === 'system') return 'sslrootcert=system is not supported. Leave it out to trust the authorities of Node';
    try {
      readFileSync(path);
    } catch (error) {
      return `${name}=${path} cannot be read (${(error as NodeJS.ErrnoException).code})`;
    }
  }
  return undefined;
}
