import { type Command } from 'commander';
import { type CreateOperationInput, type DryRun, type Operation } from '@twinbox/client/admin';
import { checkConfirmable, confirmed, count, dryRun, reason, type Session } from './cli.js';
import { type ServiceName } from './connection.js';
import { CommandFailed, UsageError } from './failures.js';
import { follow, operationResult } from './follow.js';
import { plural, table, time, totalOf } from './text.js';

/** The options of a change of many items. */
export interface BulkOptions {
  readonly canary?: boolean;
  readonly rate?: number;
  readonly reason?: string;
  readonly wait: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** A change of all items that match a filter. */
export interface Bulk {
  readonly service: ServiceName;
  readonly kind: CreateOperationInput['kind'];
  /** Alternatives: only one of them may match anything. */
  readonly filters: readonly CreateOperationInput['filter'][];
  /** Further options of the stored operation. */
  readonly settings?: Pick<NonNullable<CreateOperationInput['options']>, 'topic' | 'force'>;
  /** What it changes, such as `dead letter`. */
  readonly noun: string;
  /** Asked before it starts, with the count in place of `{}`. Nothing is asked without it. */
  readonly question?: string;
}

export function withBulkOptions(command: Command): Command {
  return command
    .option('--rate <count>', 'the most a second', count)
    .option('--no-wait', 'do not wait for the end of the operation')
    .addOption(dryRun())
    .addOption(reason());
}

/**
 * Creates a stored operation for what matches now, and follows it. What matches only later is not part of it. The result is whether it
 * succeeded.
 */
export async function runBulk(session: Session, bulk: Bulk, options: BulkOptions): Promise<boolean> {
  const { terminal, connections } = session;
  const { service, kind, noun, question, settings } = bulk;
  if (question !== undefined && !options.dryRun) checkConfirmable(terminal, options.yes);
  const { filter, preview } = await chosen(session, bulk);
  const { asOf } = preview;
  if (options.dryRun) {
    terminal.result({ service, ...preview }, () => previewText(session, preview, noun));
    return true;
  }
  if (isEmpty(preview)) {
    terminal.result({ service, ...preview }, () => `There is no ${noun} that matches.`);
    return true;
  }
  const asked = question?.replace('{}', countOf(preview, noun));
  if (asked !== undefined && !(await confirmed(terminal, asked, options.yes))) return false;
  const { canary, rate, reason } = options;
  const operation = (await connections.admin(service).createOperation({
    kind,
    filter,
    // As counted in the preview, even if more matches by now.
    options: { ...settings, asOf, ...(canary && { canary }), ...(rate && { ratePerSecond: rate }) },
    ...(reason !== undefined && { reason }),
  })) as Operation;
  return options.wait ? follow(session, service, operation) : operationResult(session, service, operation);
}

/** Returns the filter that matches something, and what. @throws CommandFailed if several do */
async function chosen({ connections }: Session, { service, kind, filters, settings }: Bulk) {
  const admin = connections.admin(service);
  const options = { ...settings, dryRun: true };
  const found = await Promise.all(
    filters.map(async (filter) => ({
      filter,
      preview: (await admin.createOperation({ kind, filter, options })) as DryRun,
    })),
  );
  const matching = found.filter(({ preview }) => !isEmpty(preview));
  if (matching.length > 1) {
    const counts = matching.map(({ filter, preview }) => `--box ${filter.box} with ${totalOf(preview)}`);
    throw new CommandFailed(
      `Several boxes match, and one operation changes one of them. Choose ${counts.join(', or ')}.`,
    );
  }
  const [one = found[0]] = matching;
  if (!one) throw new UsageError('No box has such fields.');
  return one;
}

function isEmpty({ total, totalIsExact }: DryRun): boolean {
  return total === 0 && totalIsExact;
}

function countOf(preview: DryRun, noun: string): string {
  return `${totalOf(preview)} ${plural(preview.total, noun)}`;
}

function previewText({ terminal }: Session, preview: DryRun, noun: string): string {
  const { asOf, total, totalIsExact, first } = preview;
  const count = countOf(preview, noun);
  const names = Object.keys(Object.assign({}, ...first) as object);
  const columns = names.map((name) => ({
    title: name.toUpperCase(),
    value: (row: object) => (row as Record<string, string | null>)[name],
    isElastic: true,
  }));
  return [
    `${count.charAt(0).toUpperCase()}${count.slice(1)} as of ${time(asOf)} would be changed. Nothing was changed.`,
    ...(total > 0 ? ['', table(terminal, first, columns)] : []),
    ...(total > first.length ? [`… and ${totalIsExact ? '' : 'at least '}${total - first.length} more.`] : []),
  ].join('\n');
}
