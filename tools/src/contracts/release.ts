// Keeps the contracts of a release, with which later versions must be compatible: `npm run contracts:release`.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../checkout.js';
import { describeError } from '../errors.js';
import { type GeneratedFiles, updateFiles } from '../generated-files.js';
import { releasedEvents } from './events/history.js';
import { releasedGrpc } from './grpc.js';
import { releasedOpenApi } from './openapi.js';

/** Each returns the files that it keeps of the contracts of a version. */
const releases: readonly ((version: string) => Promise<GeneratedFiles>)[] = [
  releasedEvents,
  releasedGrpc,
  releasedOpenApi,
];

try {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  for (const release of releases)
    await updateFiles(await release(version), { isCheck: false, command: 'npm run contracts:release' });
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
