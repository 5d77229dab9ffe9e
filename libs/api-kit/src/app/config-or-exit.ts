import { ConfigError, loadConfig } from './load-config.js';

/** Reads the configuration of a process. An invalid one ends it with exit code 1 and a line for each problem. */
export function configOrExit<C extends object>(name: string, configClass: new () => C): C {
  try {
    return loadConfig(configClass);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${name} cannot start:\n${error.problems.map((line) => `  ${line}\n`).join('')}`);
    return process.exit(1);
  }
}
