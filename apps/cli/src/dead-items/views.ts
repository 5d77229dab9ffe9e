import { type AdminClient, type CauseGroup } from '@twinbox/client/admin';
import { answersOf } from '../answers.js';
import { type Session } from '../cli.js';
import { type ServiceName } from '../connection.js';
import { details } from '../details.js';
import { type ListOptions, printList } from '../lists.js';
import { servicesOf } from '../reference.js';
import { shellWord } from '../shell-word.js';
import { type Terminal } from '../terminal.js';
import { table, time } from '../text.js';
import { type DeadItems, filterOf, type OneOptions, type WithHistory } from './dead-items.js';

export async function list<Item, Whole extends WithHistory, Id>(
  items: DeadItems<Item, Whole, Id>,
  session: Session,
  options: ListOptions,
): Promise<boolean> {
  const query = filterOf(items.filters(), options);
  const lists = (admin: AdminClient, limit: number) => items.calls(admin).list({ ...query, limit });
  return printList(session, options, { by: items.diedAt, from: 'newest' }, lists, items.columns);
}

export async function causes<Item, Whole extends WithHistory, Id>(
  items: DeadItems<Item, Whole, Id>,
  session: Session,
  options: OneOptions,
): Promise<boolean> {
  const { terminal } = session;
  const query = filterOf(items.filters(), options);
  const { answers, found } = await answersOf(session, servicesOf(options.service), async (admin, service) => {
    const { items: causes, complete } = await items.calls(admin).causes(query);
    return { causes: causes.map((cause) => ({ service, ...cause })), complete };
  });
  const causes = found.flatMap(({ causes }) => causes);
  const complete = found.every((answer) => answer.complete);
  const areAll = answers.print({ items: causes, complete }, () => causesText(terminal, causes));
  if (!complete && !terminal.json)
    terminal.note(
      `These are not all causes, because only the newest ${items.noun}s are counted. A filter, such as --died-before, shows others.`,
    );
  return areAll;
}

/** Returns a table with each cause below its row, as an option that can be copied: nothing of it is shortened. */
function causesText(terminal: Terminal, found: readonly (CauseGroup & { readonly service: ServiceName })[]): string {
  const [head, ...rows] = table(terminal, found, [
    { title: 'SERVICE', value: ({ service }) => service },
    { title: 'COUNT', value: ({ count }) => count, align: 'right' },
    { title: 'OLDEST', value: ({ oldest }) => time(oldest) },
    { title: 'NEWEST', value: ({ newest }) => time(newest) },
    { title: 'TYPES', value: ({ types }) => types.map((type) => type ?? '-').join(', '), isElastic: true },
  ]).split('\n');
  return [head, ...rows.map((row, n) => `${row}\n  --cause ${shellWord(found[n]?.cause ?? '')}`)].join('\n');
}

export async function show<Item, Whole extends WithHistory, Id>(
  items: DeadItems<Item, Whole, Id>,
  { terminal, connections }: Session,
  options: OneOptions,
  text: string,
): Promise<void> {
  const { service, id } = items.idOf(text, options.service);
  const whole = await items.calls(connections.admin(service)).find(id);
  const { describe, contentOf } = items;
  terminal.result({ service, ...whole }, () => details(terminal, describe(whole), whole.history, contentOf(whole)));
}
