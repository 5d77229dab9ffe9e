import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, loadConfig } from '@twinbox/api-kit/edge';
import { freePort } from '@twinbox/tools';
import { ConsoleConfig } from '../server/config.js';
import { createServer } from '../server/create-server.js';
import { Tab } from './tab.js';

/** A console's server in the test's own process. */
export interface RunningConsole {
  readonly url: string;
  readonly management: string | undefined;
  /** Everything that it has logged. */
  log(): string;
  tab(): Tab;
  stop(): Promise<void>;
}

const PAGE =
  '<!doctype html><meta property="csp-nonce" nonce="__CSP_NONCE__"><script type="module" src="/assets/a-1.js">';

/** Starts a console with small pages of its own. */
export async function startConsole(env: Readonly<Record<string, string>>, port?: number): Promise<RunningConsole> {
  const pages = await mkdtemp(join(tmpdir(), 'console-pages-'));
  await mkdir(join(pages, 'assets'));
  await writeFile(join(pages, 'index.html'), PAGE);
  await writeFile(join(pages, 'assets/a-1.js'), 'export {};');
  const chosen = port ?? (await freePort());
  const config = loadConfig(ConsoleConfig, { LOG_FORMAT: 'json', ...env });
  const lines: string[] = [];
  const logger = createLogger(config, 'console', { write: (line) => void lines.push(line) });
  const { server, management } = await createServer(config, { logger, pages });
  await server.listen({ port: chosen, host: '127.0.0.1' });
  await management?.listen({ port: 0, host: '127.0.0.1' });
  const url = `http://localhost:${chosen}`;
  return {
    url,
    management: management && `http://127.0.0.1:${(management.server.address() as AddressInfo).port}`,
    log: () => lines.join(''),
    tab: () => new Tab(url),
    async stop() {
      await server.close();
      await rm(pages, { recursive: true });
    },
  };
}
