// Prints the variables that a service would reject, one per line: node tools/dist/check-config.js order-service
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './checkout.js';

type ConfigClass = new () => object;

/** The part used of the built `@twinbox/api-kit`, which is not a dependency of this workspace. */
interface ApiKit {
  readonly ServiceConfig: ConfigClass;
  readonly ConfigError: new (problems: readonly string[]) => Error & { readonly problems: readonly string[] };
  readonly loadConfig: (configClass: ConfigClass) => object;
}

const built = (path: string): Promise<unknown> => import(pathToFileURL(join(root, path)).href);

const { ConfigError, loadConfig, ServiceConfig } = (await built('libs/api-kit/dist/index.js')) as ApiKit;
const exported = Object.values((await built(`apps/${process.argv[2]}/dist/config.js`)) as Record<string, unknown>);
const isConfig = (value: unknown): value is ConfigClass =>
  typeof value === 'function' && value.prototype instanceof ServiceConfig;
try {
  for (const configClass of exported.filter(isConfig)) loadConfig(configClass);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  for (const problem of error.problems) console.log(problem);
}
