import 'reflect-metadata';
import {
  CannotListen,
  closeOnSignal,
  configOrExit,
  createLogger,
  exitOnUncaught,
  listenAt,
} from '@twinbox/api-kit/edge';
import { NoPages } from './assets.js';
import { ConsoleConfig } from './config.js';
import { createServer } from './create-server.js';

const NAME = 'console';

const config = configOrExit(NAME, ConsoleConfig);
const logger = createLogger(config, NAME);
const exitOnError = exitOnUncaught(NAME);
try {
  const { server, management } = await createServer(config, { logger });
  closeOnSignal(NAME, () => server.close());
  const { HOST, PORT, MANAGEMENT_PORT } = config;
  const url = await listenAt({ HOST }, { PORT }, (port, host) => server.listen({ port, host, listenTextResolver }));
  if (management && MANAGEMENT_PORT !== undefined)
    await listenAt({ HOST }, { MANAGEMENT_PORT }, (port, host) => management.listen({ port, host }));
  if (config.AUTH_MODE === 'dev')
    logger.warn(`AUTH_MODE=dev: anyone who can reach ${url} can act as any demo user. Use it for development only.`);
} catch (error) {
  if (!(error instanceof CannotListen) && !(error instanceof NoPages)) exitOnError(error);
  process.stderr.write(`${NAME} cannot start: ${(error as Error).message}\n`);
  process.exit(1);
}

function listenTextResolver(address: string): string {
  return `Listening on ${address}`;
}
