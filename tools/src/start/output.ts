import { type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';

/** Shows the output of a process in the terminal, each line with its name, and adds it to the log. */
export function showOutput(name: string, child: ChildProcess, logFile?: string): void {
  const file = logFile ? createWriteStream(logFile, { flags: 'a' }) : undefined;
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      console.log(`${name} | ${line}`);
      file?.write(`${line}\n`);
    });
  }
}
