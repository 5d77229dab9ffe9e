import { type FailedAttempt } from '@twinbox/client/admin';
import { plain } from './safe-text.js';
import { type Terminal } from './terminal.js';
import { cell, fields, inLines, time } from './text.js';

/** Returns everything about one message or job: its fields, its failed attempts, and its content. */
export function details(
  terminal: Terminal,
  described: Parameters<typeof fields>[1],
  attempts: readonly FailedAttempt[],
  content: string,
): string {
  const failures = attempts.map(({ at, error }) => `${time(at)}  ${cell(error)}`);
  return [
    fields(terminal, described),
    `${terminal.styled('bold', 'failed attempts')}\n${failures.join('\n') || 'None is recorded.'}`,
    `${terminal.styled('bold', 'content')}\n${plain(inLines(content))}`,
  ].join('\n\n');
}
