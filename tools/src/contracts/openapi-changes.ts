import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { OperationalError } from '../errors.js';
import { goTool } from '../go-tools.js';

/** Where we judge a change differently from oasdiff. */
const SEVERITIES = {
  // Clients must treat a problem that they do not know by its status, so a new problem breaks none.
  'response-body-one-of-added': 'info',
  'response-body-wrapped-in-one-of-original-preserved': 'info',
  // Generated clients name their functions after the operation ids.
  'api-operation-id-removed': 'err',
};

/** A change of an API that may break its clients, as oasdiff describes it. */
export interface BreakingChange {
  /** The kind of change, such as `response-required-property-removed`. */
  readonly id: string;
  readonly text: string;
  /** The method and the path of the operation. */
  readonly operation: string;
  readonly path: string;
}

/** Lists the changes from one OpenAPI document to another that may break clients. Needs Go. */
export async function breakingChanges(before: string, after: string): Promise<BreakingChange[]> {
  const folder = await mkdtemp(join(tmpdir(), 'openapi-'));
  const levels = join(folder, 'severities.txt');
  try {
    await writeFile(
      levels,
      Object.entries(SEVERITIES)
        .map((line) => `${line.join(' ')}\n`)
        .join(''),
    );
    const args = ['breaking', before, after, '--format', 'json', '--severity-levels', levels];
    const { stdout } = await promisify(execFile)(await goTool('oasdiff'), args, { maxBuffer: 64 * 1024 * 1024 });
    return JSON.parse(stdout) as BreakingChange[];
  } catch (error) {
    const { message } = error as Error;
    throw new OperationalError(`oasdiff could not compare ${before} with ${after}. ${message}`, { cause: error });
  } finally {
    await rm(folder, { recursive: true });
  }
}
