import { format, resolveConfig } from 'prettier';
import { join } from 'node:path';
import { root } from '../../checkout.js';
import { type GeneratedFiles } from '../../generated-files.js';
import { eventVersions, topics } from './schemas.js';

/** The folder of the published event contracts. */
export const EVENTS = 'libs/contracts/events';

/** Generates the JSON Schema of each event version. */
export async function eventContracts(): Promise<GeneratedFiles> {
  const files = new Map<string, string>();
  const versions = (await Promise.all(topics.map(eventVersions))).flat();
  for (const { name, schema } of versions) {
    const path = `${EVENTS}/schemas/${name}.json`;
    files.set(path, await formatted(path, JSON.stringify(schema)));
  }
  return { files, folders: [`${EVENTS}/schemas`] };
}

async function formatted(path: string, text: string): Promise<string> {
  return await format(text, { ...(await resolveConfig(join(root, path))), filepath: path });
}
