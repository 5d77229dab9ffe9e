// What a server without Nest and without a database shares with the services.
export { EnvInt } from './app/env.js';
export { ConfigError, loadConfig } from './app/load-config.js';
