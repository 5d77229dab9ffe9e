import { execFile } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../checkout.js';
import { OperationalError } from '../errors.js';

/** The folder of the .proto files and of the rules for them. */
export const PROTO = 'libs/contracts/proto';

const BIN = join(root, 'node_modules/.bin');

/** Runs buf in the folder of the .proto files. @throws OperationalError with what it printed, if it fails */
export async function buf(...args: readonly string[]): Promise<void> {
  // buf finds its plugins in the PATH, and they find Node there.
  const env = { ...process.env, PATH: `${BIN}${delimiter}${process.env['PATH'] ?? ''}` };
  try {
    await promisify(execFile)(join(BIN, 'buf'), args, { cwd: join(root, PROTO), env });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { readonly stdout?: string; readonly stderr?: string };
    throw new OperationalError(`buf ${args[0]} found in ${PROTO}:\n${stdout}${stderr}`, { cause: error });
  }
}
