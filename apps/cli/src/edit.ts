import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addAbortSignal } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type Command } from 'commander';
import { type Session } from './cli.js';
import { CommandFailed, UsageError } from './failures.js';
import { inLines } from './text.js';

export interface EditOptions {
  readonly file?: string;
}

export function withEditOptions(command: Command): Command {
  return command.option('--file <path>', 'the new content, or - for the standard input; otherwise $EDITOR opens it');
}

/** Returns the new content: of a file, of the standard input, or what a person makes of the old one in an editor. It must be JSON. */
export async function edited(session: Session, before: string, { file }: EditOptions): Promise<string> {
  const after = await newContent(session, before, file);
  try {
    JSON.parse(after);
  } catch (error) {
    throw new CommandFailed(`The new content is not JSON: ${(error as Error).message}. Nothing was changed.`);
  }
  return after;
}

async function newContent(
  { terminal, environment, signal }: Session,
  before: string,
  file: string | undefined,
): Promise<string> {
  if (file === '-') return text(addAbortSignal(signal, terminal.streams.stdin));
  if (file !== undefined)
    return readFile(file, 'utf8').catch((error: Error) => {
      throw new CommandFailed(`The file cannot be read: ${error.message}`);
    });
  const editor = environment['VISUAL'] || environment['EDITOR'];
  if (!terminal.isInteractive || !editor)
    throw new UsageError('Give the new content with --file, or set EDITOR and run the command in a terminal.');
  return inEditor(editor, inLines(before));
}

/** Opens the text in an editor, in a file that only this user can read. */
async function inEditor(editor: string, before: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'twinbox-'));
  try {
    const file = join(folder, 'content.json');
    await writeFile(file, before, { mode: 0o600 });
    // The variable may have arguments, such as `code --wait`, so a shell splits it. The file is an argument of the shell.
    const child = spawn('sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new CommandFailed(`The editor ended with ${code ?? 'a signal'}. Nothing was changed.`);
    return await readFile(file, 'utf8');
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Returns the lines that differ, as in a unified diff, with the lines around them. */
export function difference(before: string, after: string): string {
  const [old, young] = [before.trimEnd().split('\n'), after.trimEnd().split('\n')];
  let start = 0;
  while (start < old.length && start < young.length && old[start] === young[start]) start++;
  let end = 0;
  while (end < old.length - start && end < young.length - start && old.at(-1 - end) === young.at(-1 - end)) end++;
  const removed = old.slice(start, old.length - end).map((line) => `-${line}`);
  const added = young.slice(start, young.length - end).map((line) => `+${line}`);
  return [...removed, ...added].join('\n');
}
