import { basename, join } from 'node:path';
import { SERVICES } from '@twinbox/migrations/services';
import { format, resolveConfig } from 'prettier';
import { built, builtApiKit } from '../built.js';
import { root } from '../checkout.js';
import { type GeneratedFiles } from '../generated-files.js';
import { DOCUMENTED_ENV } from './documented-env.js';
import { breakingChanges } from './openapi-changes.js';

const FOLDER = 'libs/contracts/openapi';

/** The part used of a service's description, which its `main.ts` runs. */
interface Service {
  readonly configClass: new () => object;
  readonly module: (config: object) => unknown;
  readonly openApi: object;
}

/** Generates the OpenAPI document of each service from the application as it runs, such as `orders.json`. */
export async function openApiDocuments(): Promise<GeneratedFiles> {
  const files = new Map<string, string>();
  for (const { name, schema } of SERVICES) {
    const filepath = join(FOLDER, `${schema}.json`);
    const options = await resolveConfig(join(root, filepath));
    files.set(filepath, await format(JSON.stringify(await documentOf(name)), { ...options, filepath }));
  }
  return { files, folders: [] };
}

/** Returns the documents as they are now, as those that later ones must be compatible with. */
export async function releasedOpenApi(): Promise<GeneratedFiles> {
  const { files } = await openApiDocuments();
  const folder = join(FOLDER, 'released');
  return {
    files: new Map([...files].map(([path, text]) => [join(folder, basename(path)), text])),
    folders: [folder],
  };
}

/** Lists the changes of the APIs since the last release that could break a client. Needs Go. */
export async function breakingOpenApiChanges(): Promise<string[]> {
  const changes = await Promise.all(
    SERVICES.map(async ({ schema }) => {
      const [before, after] = [`released/${schema}.json`, `${schema}.json`].map((path) => join(root, FOLDER, path));
      const found = await breakingChanges(before ?? '', after ?? '');
      return found.map(({ operation, path, text }) => `${schema}: ${operation} ${path}: ${text}`);
    }),
  );
  return changes.flat();
}

async function documentOf(name: string): Promise<object> {
  const { createApp, loadConfig, openApiDocument } = await builtApiKit();
  const exported = Object.values((await built(`apps/${name}/dist/service.js`)) as Record<string, Partial<Service>>);
  const service = exported.find((each): each is Service => each.configClass !== undefined);
  if (!service) throw new Error(`apps/${name}/src/service.ts exports no service.`);
  const config = loadConfig(service.configClass, DOCUMENTED_ENV);
  const app = await createApp(service.module(config), config, service.openApi);
  try {
    return openApiDocument(app, service.openApi);
  } finally {
    await app.close();
  }
}
