// Declares the contracts as released: `npm run contracts:release`. From then on they may only change in compatible ways.
import { describeError } from '../errors.js';
import { type GeneratedFiles, updateFiles } from '../generated-files.js';
import { releasedGrpc } from './grpc.js';
import { releasedOpenApi } from './openapi.js';

/** What later changes are compared with. */
const released: readonly (() => Promise<GeneratedFiles>)[] = [releasedGrpc, releasedOpenApi];

try {
  for (const files of released)
    await updateFiles(await files(), { isCheck: false, command: 'npm run contracts:release' });
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
