import { Parser } from '@asyncapi/parser';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { root } from '../../checkout.js';
import { OperationalError } from '../../errors.js';
import { type GeneratedFiles } from '../../generated-files.js';
import { applications } from './applications.js';
import { type AsyncApi, asyncApi } from './asyncapi.js';
import { eventPage } from './page.js';
import { eventVersions, topics } from './schemas.js';

/** The folder of the published event contracts. */
export const EVENTS = 'libs/contracts/events';
/** It has a folder for each released version. */
export const RELEASED = `${EVENTS}/released`;

/** Generates the JSON Schema of each event version, and the AsyncAPI document with all of them, and the page that shows it. */
export async function eventContracts(): Promise<GeneratedFiles> {
  const published = await Promise.all(topics.map(async (topic) => ({ topic, versions: await eventVersions(topic) })));
  const users = await applications();
  const document = await versioned((version) => asyncApi(version, published, users));
  await assertValid(document);
  const texts = new Map([
    [`${EVENTS}/asyncapi.json`, JSON.stringify(document)],
    [`${EVENTS}/index.html`, eventPage(document)],
  ]);
  for (const { name, schema } of published.flatMap(({ versions }) => versions))
    texts.set(`${EVENTS}/schemas/${name}.json`, JSON.stringify(schema));
  const files = new Map<string, string>();
  for (const [path, text] of texts) files.set(path, await formatted(path, text));
  return { files, folders: [`${EVENTS}/schemas`] };
}

/** @throws OperationalError with every error and warning of the AsyncAPI parser. */
async function assertValid(document: AsyncApi): Promise<void> {
  const diagnostics = await new Parser().validate(JSON.stringify(document));
  const problems = diagnostics.map(({ path, message }) => `${path.join('.')}: ${message}`);
  if (problems.length > 0) throw new OperationalError(`The AsyncAPI document is not valid:\n${problems.join('\n')}`);
}

async function formatted(path: string, text: string): Promise<string> {
  return await format(text, { ...(await resolveConfig(join(root, path))), filepath: path });
}

/**
 * Returns the document with the version of the repository, whose release publishes it. If that version has been released with another
 * document, this one is on the way to the next release, and its version says so: `0.2.0-next` after `0.1.0`.
 */
async function versioned(document: (version: string) => AsyncApi): Promise<AsyncApi> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  const current = document(version);
  const released = await readFile(join(root, RELEASED, version, 'asyncapi.json'), 'utf8').catch(() => undefined);
  if (released === undefined || isDeepStrictEqual(JSON.parse(released), JSON.parse(JSON.stringify(current))))
    return current;
  const [major, minor] = version.split('.').map(Number);
  return document(`${major}.${(minor ?? 0) + 1}.0-next`);
}
