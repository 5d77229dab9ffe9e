// Keeps the contracts of a release, with which later versions must be compatible: `npm run contracts:release`. Refuses changes of the APIs
// that could break a caller. With `--accept-breaking` it prints them and continues.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../checkout.js';
import { describeError } from '../errors.js';
import { releasedEvents } from './events/history.js';
import { breakingGrpcChanges, releasedGrpc } from './grpc.js';
import { breakingOpenApiChanges, releasedOpenApi } from './openapi.js';
import { keepRelease, type KeptContracts } from './kept-contracts.js';

const contracts: readonly KeptContracts[] = [
  // `npm run contracts -- --check` has compared them with every release.
  { files: releasedEvents, breakingChanges: async () => Promise.resolve([]) },
  { files: releasedGrpc, breakingChanges: breakingGrpcChanges },
  { files: releasedOpenApi, breakingChanges: breakingOpenApiChanges },
];

try {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  await keepRelease(version, contracts, { acceptsBreaking: process.argv.includes('--accept-breaking') });
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
