import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { until } from './until.js';

/** A process of its own, from the built library, which can be killed and paused. It ends with the one that started it. */
export class Child {
  private output = '';

  private constructor(private readonly process: ChildProcess) {
    for (const stream of [process.stdout, process.stderr])
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
  }

  /** Runs a script, an ES module whose relative imports begin in the library's directory, with this environment and no more. */
  static start(script: string, env: Record<string, string>): Child {
    const whole = `${script}\nprocess.stdin.on('end', () => process.exit()).resume();`;
    const process = spawn(globalThis.process.execPath, ['--input-type=module', '-e', whole], {
      cwd: join(import.meta.dirname, '../../dist'),
      env: { PATH: globalThis.process.env['PATH'], ...env },
    });
    return new Child(process);
  }

  /** Its last word, of those that it says one a line. */
  get lastSaid(): string {
    return this.output.trimEnd().split('\n').at(-1) ?? '';
  }

  /** Waits until this is its last word. */
  async says(what: string): Promise<void> {
    await until(`the process says ${what}`, () => {
      if (this.lastSaid !== what) throw new Error(`it said ${this.output}`);
      return true;
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Waits until it is gone; its exit code, or null when a signal ended it. */
  async gone(): Promise<number | null> {
    if (!this.isGone) await once(this.process, 'exit');
    return this.process.exitCode;
  }

  get isGone(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** SIGKILL; returns when it is gone. */
  async kill(): Promise<void> {
    if (this.isGone) return;
    const gone = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await gone;
  }
}
