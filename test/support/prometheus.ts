import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '@twinbox/tools';
import { parse } from 'yaml';

/** The folder with the rules and their tests. */
export const PROMETHEUS = join(root, 'deploy/prometheus');

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Returns the path of the runbook: `RefundPendingTooLong` has `docs/runbooks/refund-pending-too-long.md`. */
export const pageOf = (alert: string) => `docs/runbooks/${alert.replaceAll(/(?<!^)[A-Z]/g, '-$&').toLowerCase()}.md`;

/** Returns the rules of a file. */
export async function rulesOf(file: 'alerts.yml' | 'recording.yml'): Promise<readonly Rule[]> {
  const { groups } = parse(await readFile(join(PROMETHEUS, file), 'utf8')) as {
    groups: readonly { readonly rules: readonly Rule[] }[];
  };
  return groups.flatMap(({ rules }) => rules);
}

/** Returns the paths of the files with cases for alerts. */
export async function ruleTests(): Promise<readonly string[]> {
  const files = await readdir(join(PROMETHEUS, 'tests'));
  return files.map((file) => join(PROMETHEUS, 'tests', file));
}
