// Prints the variables that a process would reject, one per line: node tools/dist/start/check-config.js apps/order-service/dist/config.js
import { built, builtApiKit, type ConfigClass } from '../built.js';

const { ConfigError, loadConfig } = await builtApiKit();
const exported = Object.entries((await built(process.argv[2] ?? '')) as Record<string, ConfigClass>);
try {
  for (const [name, configClass] of exported) if (name.endsWith('Config')) loadConfig(configClass);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  for (const problem of error.problems) console.log(problem);
}
