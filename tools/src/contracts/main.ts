// Generates what is committed of the contracts: `npm run contracts`. With `--check` it only compares, and fails on a difference. Both fail
// if the contracts are incompatible with those of a release.
import { describeError } from '../errors.js';
import { type GeneratedFiles, updateFiles } from '../generated-files.js';
import { typedClient } from './client.js';
import { eventContracts } from './events/generate.js';
import { eventProblems } from './events/history.js';
import { grpcContracts } from './grpc.js';
import { openApiDocuments } from './openapi.js';

/** What is generated, in order: a later generator may read the files of an earlier one. */
const generators: readonly (() => Promise<GeneratedFiles>)[] = [
  grpcContracts,
  eventContracts,
  openApiDocuments,
  typedClient,
];

/** What is wrong with the generated contracts. */
const checks: readonly (() => Promise<string[]>)[] = [eventProblems];

async function main(isCheck: boolean): Promise<number> {
  let wereCurrent = true;
  for (const generate of generators) {
    const isCurrent = await updateFiles(await generate(), { isCheck, command: 'npm run contracts' });
    wereCurrent &&= isCurrent;
  }
  const problems = (await Promise.all(checks.map((check) => check()))).flat();
  for (const problem of problems) console.error(problem);
  return problems.length > 0 || (isCheck && !wereCurrent) ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.includes('--check'));
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
