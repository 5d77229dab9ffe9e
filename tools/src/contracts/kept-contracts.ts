import { OperationalError } from '../errors.js';
import { type GeneratedFiles, updateFiles } from '../generated-files.js';

/** Contracts of one kind, which a release keeps. */
export interface KeptContracts {
  /** Returns the files that keep them. Throws if this version has been released with other contracts. */
  readonly files: (version: string) => Promise<GeneratedFiles>;
  /** Returns the changes since the previous release that could break a caller. */
  readonly breakingChanges: () => Promise<readonly string[]>;
}

/**
 * Writes the files of all contracts, or none of them.
 * @throws OperationalError with the changes that could break a caller, unless `acceptsBreaking` is set, with which they are printed.
 */
export async function keepRelease(
  version: string,
  contracts: readonly KeptContracts[],
  { acceptsBreaking }: { readonly acceptsBreaking: boolean },
): Promise<void> {
  const kept: GeneratedFiles[] = [];
  for (const { files } of contracts) kept.push(await files(version));
  const changes: string[] = [];
  for (const { breakingChanges } of contracts) changes.push(...(await breakingChanges()));
  if (changes.length > 0 && !acceptsBreaking)
    throw new OperationalError(
      `${changes.join('\n')}\nThese changes could break callers. Undo them, or accept them with ` +
        '"npm run contracts:release -- --accept-breaking". Nothing was written.',
    );
  for (const change of changes) console.log(`accepted: ${change}`);
  const all: GeneratedFiles = {
    files: new Map(kept.flatMap(({ files }) => [...files])),
    folders: kept.flatMap(({ folders }) => folders),
  };
  await updateFiles(all, { isCheck: false, command: 'npm run contracts:release' });
}
