import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './checkout.js';

export type ConfigClass = new () => object;

/** The part used of the built `@twinbox/api-kit`, which is not a dependency of this workspace. */
interface ApiKit {
  readonly ServiceConfig: ConfigClass;
  readonly ConfigError: new (problems: readonly string[]) => Error & { readonly problems: readonly string[] };
  readonly loadConfig: (configClass: ConfigClass, env?: Readonly<Record<string, string>>) => object;
  readonly createApp: (module: unknown, config: object, openApi: object) => Promise<{ close(): Promise<void> }>;
  readonly openApiDocument: (app: { close(): Promise<void> }, openApi: object) => object;
}

/** Imports a built module, by its path in the checkout. */
export function built(path: string): Promise<unknown> {
  return import(pathToFileURL(join(root, path)).href);
}

export async function builtApiKit(): Promise<ApiKit> {
  return (await built('libs/api-kit/dist/index.js')) as ApiKit;
}
