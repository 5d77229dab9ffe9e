import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../../checkout.js';
import { OperationalError } from '../../errors.js';
import { type GeneratedFiles } from '../../generated-files.js';
import { type AsyncApi } from './asyncapi.js';
import { compatibilityProblems, type Exemption, type Release } from './compatibility.js';
import { EVENTS, RELEASED } from './generate.js';

const DOCUMENT = 'asyncapi.json';

/** Returns how the event contracts are incompatible with those of the releases. */
export async function eventProblems(): Promise<string[]> {
  const exemptions = JSON.parse(await text(`${EVENTS}/exemptions.json`)) as readonly Exemption[];
  return compatibilityProblems(await documentIn(EVENTS), await releases(), exemptions);
}

/** Returns the files that keep today's event contracts for the check of all later versions. */
export async function releasedEvents(version: string): Promise<GeneratedFiles> {
  const path = `${RELEASED}/${version}/${DOCUMENT}`;
  const content = await text(`${EVENTS}/${DOCUMENT}`);
  const kept = await text(path).catch(() => content);
  if (kept !== content)
    throw new OperationalError(
      `The event contracts of ${version} are released already. Raise the version in package.json, and run "npm run contracts" first.`,
    );
  return { files: new Map([[path, content]]), folders: [] };
}

async function releases(): Promise<Release[]> {
  const versions = await readdir(join(root, RELEASED));
  return await Promise.all(
    versions.map(async (version) => ({ version, document: await documentIn(`${RELEASED}/${version}`) })),
  );
}

async function documentIn(folder: string): Promise<AsyncApi> {
  return JSON.parse(await text(`${folder}/${DOCUMENT}`)) as AsyncApi;
}

function text(path: string): Promise<string> {
  return readFile(join(root, path), 'utf8');
}
