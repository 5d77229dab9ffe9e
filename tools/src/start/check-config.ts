// Prints the variables that a service would reject, one per line: node tools/dist/start/check-config.js order-service
import { built, builtApiKit, type ConfigClass } from '../built.js';

const { ConfigError, loadConfig, ServiceConfig } = await builtApiKit();
const exported = Object.values((await built(`apps/${process.argv[2]}/dist/config.js`)) as Record<string, unknown>);
const isConfig = (value: unknown): value is ConfigClass =>
  typeof value === 'function' && value.prototype instanceof ServiceConfig;
try {
  for (const configClass of exported.filter(isConfig)) loadConfig(configClass);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  for (const problem of error.problems) console.log(problem);
}
