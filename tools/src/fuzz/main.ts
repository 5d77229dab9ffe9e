// npm run fuzz: runs schemathesis against both services, started for it with AUTH_MODE=jwt, as each kind of caller.
// Usage: npm run fuzz -- [--short] [arguments of "schemathesis run"]
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeError } from '../errors.js';
import { signIn } from '../provisioning/token-request.js';
import { tokenUrlOn } from '../start/config.js';
import { type FuzzCaller, missingSchemathesis, schemathesis } from './schemathesis.js';
import { startSystem } from './system.js';

/** The users of the local OpenID provider, by the kind of caller that they are. An admin is also an operator. */
const CALLERS = {
  anonymous: undefined,
  customer: { user: 'demo', roles: ['customer'] },
  operator: { user: 'ops', roles: ['operator'] },
  admin: { user: 'admin', roles: ['admin', 'operator'] },
} as const;

/** A list of each service that every caller with a valid token may read. */
const LISTS: Readonly<Record<string, string>> = { 'order-service': '/orders', 'payment-service': '/payment-requests' };

type Kind = keyof typeof CALLERS;

const SOME_VALUES = ['--phases', 'fuzzing', '--max-examples', '3', '--seed', '1'];

/**
 * The arguments of the short form, for CI. It tests both services at the same time, because schemathesis uses one core. Most of its time goes
 * to the coverage phase, which therefore runs only once per service, as a caller with all permissions.
 */
const SHORT: Readonly<Record<Kind, readonly string[]>> = {
  anonymous: SOME_VALUES,
  customer: SOME_VALUES,
  operator: ['--phases', 'coverage', '--seed', '1'],
  admin: SOME_VALUES,
};

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort(signal));

async function main(): Promise<number> {
  const { signal } = stopping;
  const isShort = process.argv[2] === '--short';
  const args = process.argv.slice(isShort ? 3 : 2);
  const missing = await missingSchemathesis(signal);
  if (missing !== undefined) {
    console.log(`Skipped: ${missing}`);
    console.log('0 passed, 0 failed');
    return 0;
  }
  const directory = await mkdtemp(join(await realpath(tmpdir()), 'twinbox-fuzz-'));
  const undo: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true, maxRetries: 10 })];
  try {
    const system = await startSystem({ directory, undo, signal });
    const fuzzed = async (name: string, url: string): Promise<boolean[]> => {
      const results: boolean[] = [];
      for (const kind of Object.keys(CALLERS) as Kind[]) {
        const caller = await signedIn(kind, `${url}${LISTS[name]}`, tokenUrlOn(system.oidcPort));
        const all = [...(isShort ? SHORT[kind] : []), ...args];
        const run = { caller, args: all, cwd: directory, signal, title: `\n${name}, ${kind}`, collected: isShort };
        results.push((await schemathesis(url, run)) === 0);
      }
      return results;
    };
    const results: boolean[] = [];
    const services = Object.entries(system.urls);
    if (isShort) results.push(...(await Promise.all(services.map(([name, url]) => fuzzed(name, url)))).flat());
    else for (const [name, url] of services) results.push(...(await fuzzed(name, url)));
    const passed = results.filter(Boolean).length;
    console.log(`${passed} passed, ${results.length - passed} failed`);
    return passed === results.length ? 0 : 1;
  } finally {
    for (let step = undo.pop(); step; step = undo.pop()) await step();
  }
}

/** Returns the caller, after a request that shows that the service accepts the token. Without it, only refusals would be tested. */
async function signedIn(kind: Kind, listUrl: string, tokenUrl: string): Promise<FuzzCaller | undefined> {
  const caller = CALLERS[kind];
  if (caller === undefined) return undefined;
  const headers = await signIn(tokenUrl, caller.user);
  const { status } = await fetch(listUrl, { headers, signal: AbortSignal.timeout(10_000) });
  if (status !== 200)
    throw new Error(`GET ${listUrl} with the token of ${caller.user} returns ${status} instead of 200.`);
  return { ...headers, roles: caller.roles };
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!stopping.signal.aborted) console.error(describeError(error));
  process.exitCode = 1;
}
