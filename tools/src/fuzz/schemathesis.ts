import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { home, root } from '../checkout.js';
import { describeError } from '../errors.js';
import { ask, run } from '../servers/processes.js';

/** The secret of the services' webhooks, with which the hooks of schemathesis sign. */
export const WEBHOOK_SECRET = `whsec_${Buffer.from('twinbox: a secret for fuzzing').toString('base64')}`;

const VERSION = '4.32.5';
const PYTHON = join(home, `python/schemathesis-${VERSION}`);
const CONFIG = join(root, 'tools/schemathesis');

/** Returns why schemathesis cannot run on this machine, after an attempt to install it. Undefined if it can. */
export async function missingSchemathesis(signal: AbortSignal): Promise<string | undefined> {
  const version = await ask('python3', ['-c', 'import sys, venv; assert sys.version_info >= (3, 10)'], 10_000);
  if (version === undefined) return 'schemathesis needs Python 3.10 or later with the venv module.';
  const failure = await install(signal).then(() => undefined, describeError);
  signal.throwIfAborted();
  return failure === undefined ? undefined : `schemathesis cannot be installed. ${failure}`;
}

async function install(signal: AbortSignal): Promise<void> {
  if (existsSync(join(PYTHON, 'installed'))) return;
  console.log(`Installing schemathesis ${VERSION} into ${PYTHON} …`);
  const options = { what: 'Installing schemathesis', logFile: join(home, 'logs/fuzz.log'), signal };
  await rm(PYTHON, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', PYTHON], options);
  await run(
    join(PYTHON, 'bin/pip'),
    ['install', '--quiet', '--retries', '1', '--timeout', '15', `schemathesis==${VERSION}`],
    options,
  );
  // Must come last, so that an interrupted installation is repeated.
  await mkdir(join(PYTHON, 'installed'));
}

/** Who makes the requests of a run. */
export interface FuzzCaller {
  readonly authorization: string;
  /** All of them, including those that another one includes. */
  readonly roles: readonly string[];
}

interface Run {
  /** Undefined if the requests are anonymous. */
  readonly caller: FuzzCaller | undefined;
  /** Further arguments of `schemathesis run`. */
  readonly args: readonly string[];
  readonly cwd: string;
  readonly signal: AbortSignal;
  /** What is printed above the output. */
  readonly title: string;
  /** Whether the output is printed only when the run has ended, because other runs print at the same time. */
  readonly collected: boolean;
}

/** Runs schemathesis against a service, in a directory where it may store its findings, and returns its exit status. */
export async function schemathesis(url: string, { caller, args, cwd, signal, title, collected }: Run): Promise<number> {
  const config = ['--config-file', join(CONFIG, 'schemathesis.toml')];
  const headers = caller ? ['--header', `Authorization: ${caller.authorization}`] : [];
  const options = ['--generation-database', 'none', ...headers, ...args];
  // The hooks check by these who is refused.
  const identity = caller && { CALLER_AUTHORIZATION: caller.authorization, CALLER_ROLES: caller.roles.join(' ') };
  if (!collected) console.log(title);
  const child = spawn(join(PYTHON, 'bin/schemathesis'), [...config, 'run', ...options, `${url}/openapi.json`], {
    cwd,
    env: { ...process.env, ...identity, WEBHOOK_SECRET, PYTHONPATH: CONFIG, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['ignore', ...(collected ? (['pipe', 'pipe'] as const) : (['inherit', 'inherit'] as const))],
    signal,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (collected) console.log(`${title}\n${output}`);
  return code ?? 1;
}
