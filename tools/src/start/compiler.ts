import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../checkout.js';
import { end } from '../servers/processes.js';
import { showOutput } from './output.js';

/** The launcher of the native compiler, which replaces itself with that. */
const tsc = join(root, 'node_modules/@typescript/native/bin/tsc');

/** The arguments of the compiler, by which one that a killed run has left running is found. */
export const COMPILER = ['-b', join(root, 'tsconfig.build.json'), '--watch', '--preserveWatchOutput'];

export interface Compiler {
  stop(): Promise<void>;
}

/** Starts the compiler in watch mode, with its output in the terminal. */
export function startCompiler(): Compiler {
  const child = spawn(process.execPath, [tsc, ...COMPILER], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  showOutput('tsc', child);
  return { stop: async () => (child.pid && child.exitCode === null ? end([child.pid], 2_000) : undefined) };
}
