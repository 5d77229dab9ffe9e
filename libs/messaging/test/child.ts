import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { until } from '#src/testing/until.js';

/** A child process that runs the built library and can be killed or paused. It exits when its parent does. */
export class Child {
  private output = '';

  private constructor(private readonly process: ChildProcess) {
    for (const stream of [process.stdout, process.stderr])
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
  }

  /** Runs a script with only this environment. It is an ES module whose relative imports resolve in the library's `dist`. */
  static start(script: string, env: Record<string, string>): Child {
    const whole = `${script}\nprocess.stdin.on('end', () => process.exit()).resume();`;
    const process = spawn(globalThis.process.execPath, ['--input-type=module', '-e', whole], {
      cwd: join(import.meta.dirname, '../dist'),
      env: { PATH: globalThis.process.env['PATH'], ...env },
    });
    return new Child(process);
  }

  /** The last line that the process has written. */
  get lastSaid(): string {
    return this.output.trimEnd().split('\n').at(-1) ?? '';
  }

  /** Waits until this is the last line that the process has written. */
  async says(what: string): Promise<void> {
    await until(`the process writes ${what}`, () => {
      if (this.lastSaid !== what) throw new Error(`it wrote ${this.output}`);
      return true;
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Waits until the process has exited. Returns its exit code, or null if a signal ended it. */
  async gone(): Promise<number | null> {
    if (!this.isGone) await once(this.process, 'exit');
    return this.process.exitCode;
  }

  get isGone(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** Sends SIGKILL and waits until the process has exited. */
  async kill(): Promise<void> {
    if (this.isGone) return;
    const gone = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await gone;
  }
}
