import 'reflect-metadata';
import { ConfigError, loadConfig } from '@twinbox/api-kit/edge';
import { ConsoleConfig } from './config.js';
import { createServer } from './create-server.js';

try {
  const config = loadConfig(ConsoleConfig);
  const server = createServer();
  await server.listen({ host: config.HOST, port: config.PORT });
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`console cannot start:\n${error.problems.map((line) => `  ${line}\n`).join('')}`);
  process.exit(1);
}
