import { type BulkOptions, runBulk } from '../bulk.js';
import { confirmed, type Session } from '../cli.js';
import { difference, edited, type EditOptions } from '../edit.js';
import { UsageError } from '../failures.js';
import { plain } from '../safe-text.js';
import { fields, inLines } from '../text.js';
import { type DeadItems, filterOf, type OneOptions, type WithHistory } from './dead-items.js';

export type Change = 'retry' | 'discard';
export type ChangeOptions = OneOptions & BulkOptions & { readonly all?: boolean };

/** Retries or discards one item, or, without a reference, all that match. */
export async function change<Item, Whole extends WithHistory, Id>(
  items: DeadItems<Item, Whole, Id>,
  session: Session,
  options: ChangeOptions,
  action: Change,
  text: string | undefined,
): Promise<boolean> {
  const reason = action === 'discard' && !options.dryRun ? givenReason(options) : options.reason;
  if (text === undefined) return changeMany(items, session, options, action);
  if (options.all || Object.keys(filterOf(items.filters(), options)).length > 0)
    throw new UsageError('Give either one reference, or filters.');
  if (options.canary || options.rate !== undefined || !options.wait)
    throw new UsageError(
      '--canary, --rate and --no-wait are for many. Give filters instead of a reference, or leave them out.',
    );

  const { terminal, connections } = session;
  const { noun, idOf, calls, describe } = items;
  const { service, id } = idOf(text, options.service);
  const { find, retry, discard } = calls(connections.admin(service));
  if (options.dryRun) {
    const whole = await find(id);
    const announced = `This ${noun} would be ${action === 'retry' ? 'retried' : 'discarded'}. Nothing was changed.`;
    terminal.result({ service, ...whole }, () => `${announced}\n\n${fields(terminal, describe(whole))}`);
    return true;
  }
  if (action === 'discard' && !(await confirmed(terminal, `Discard the ${noun} ${text} for good?`, options.yes)))
    return false;
  const result = await (action === 'discard'
    ? discard(id, reason ?? '')
    : retry(id, reason === undefined ? {} : { reason }));
  terminal.result({ service, ...result }, () =>
    action === 'retry' ? `The ${noun} is retried now.` : `The ${noun} is discarded.`,
  );
  return true;
}

async function changeMany<Item, Whole extends WithHistory, Id>(
  { noun, kinds, example, filters, bulkFilters }: DeadItems<Item, Whole, Id>,
  session: Session,
  options: ChangeOptions,
  action: Change,
): Promise<boolean> {
  const { service, all = false } = options;
  if (service === undefined)
    throw new UsageError(`Name one ${noun}, such as ${example}, or choose many with --service and filters.`);
  const { box, ...filter } = filterOf(filters(), options);
  const isFiltered = Object.keys(filter).length > 0;
  // A filter that got lost must not mean everything.
  if (!isFiltered && !all)
    throw new UsageError(`Without a filter, this concerns every ${noun} of ${service}. Add a filter or --all.`);
  if (isFiltered && all) throw new UsageError('Give either filters or --all.');
  const bulk = {
    service,
    kind: kinds[action],
    filters: bulkFilters({ ...filter, ...(box && { box }), ...(all && { all }) }),
    noun,
    ...(action === 'discard' && { question: `Discard {} of ${service} for good?` }),
  };
  return runBulk(session, bulk, options);
}

/** Replaces the content of one item, and retries it. */
export async function edit<Item, Whole extends WithHistory, Id>(
  { noun, idOf, calls, contentOf }: DeadItems<Item, Whole, Id>,
  session: Session,
  options: OneOptions & EditOptions,
  text: string,
): Promise<void> {
  const { terminal, connections } = session;
  const { service, id } = idOf(text, options.service);
  const reason = options.dryRun ? '' : givenReason(options);
  const { find, edit } = calls(connections.admin(service));
  const before = contentOf(await find(id));
  const after = await edited(session, before, options);
  const changes = difference(inLines(before), inLines(after));
  const show = (result: object, outcome: string) =>
    terminal.result({ service, ...result, changes }, () => `${plain(changes)}\n${outcome}`.trimStart());
  if (changes === '') return show({}, 'The content is the same, so nothing was changed.');
  if (options.dryRun) return show({}, 'Nothing was changed. The service has not checked this content yet.');
  show(await edit(id, after, reason), `The ${noun} is changed, and retried now.`);
}

/** @throws UsageError if there is none */
function givenReason({ reason }: OneOptions): string {
  if (!reason?.trim()) throw new UsageError('Say why with --reason, for the audit.');
  return reason;
}
