import { join } from 'node:path';
import { root } from '../checkout.js';
import { STEP_HEAP } from '../memory.js';
import { run } from '../servers/processes.js';
import { logFile } from './places.js';
import { timed } from './timed.js';

/** Runs one of the repository's own commands in development mode, like the services, and waits for it to exit. */
export const step = (what: string, file: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> =>
  timed(what, () => {
    const options = { what: `The step "${what}"`, logFile: logFile('setup'), cwd: root, signal };
    return run(process.execPath, [STEP_HEAP, join(root, file)], {
      ...options,
      env: { ...process.env, NODE_ENV: 'development', ...env },
    });
  });
