import { type AdminClient } from '@twinbox/client/admin';
import { type Session } from '../cli.js';
import { details } from '../details.js';
import { type ListOptions, printList } from '../lists.js';
import { servicesOf } from '../reference.js';
import { table, time } from '../text.js';
import { type DeadItems, filterOf, type OneOptions, type WithHistory } from './dead-items.js';

export async function list<Item, Whole extends WithHistory, Id>(
  items: DeadItems<Item, Whole, Id>,
  session: Session,
  options: ListOptions,
): Promise<void> {
  const query = filterOf(items.filters(), options);
  const lists = (admin: AdminClient, limit: number) => items.calls(admin).list({ ...query, limit });
  await printList(session, options, lists, items.columns);
}

export async function causes<Item, Whole extends WithHistory, Id>(
  items: DeadItems<Item, Whole, Id>,
  { terminal, connections }: Session,
  options: OneOptions,
): Promise<void> {
  const query = filterOf(items.filters(), options);
  const groups = servicesOf(options.service).map(async (service) => {
    const { items: causes, complete } = await items.calls(connections.admin(service)).causes(query);
    return { causes: causes.map((cause) => ({ service, ...cause })), complete };
  });
  const answers = await Promise.all(groups);
  const found = answers.flatMap(({ causes }) => causes);
  const complete = answers.every((answer) => answer.complete);
  terminal.result({ items: found, complete }, () =>
    table(terminal, found, [
      { title: 'SERVICE', value: ({ service }) => service },
      { title: 'COUNT', value: ({ count }) => count, align: 'right' },
      { title: 'OLDEST', value: ({ oldest }) => time(oldest) },
      { title: 'NEWEST', value: ({ newest }) => time(newest) },
      { title: 'TYPES', value: ({ types }) => types.map((type) => type ?? '-').join(', '), isElastic: true },
      { title: 'CAUSE', value: ({ cause }) => cause, isElastic: true },
    ]),
  );
  if (!complete && !terminal.json)
    terminal.note(
      `These are not all causes, because only the newest ${items.noun}s are counted. A filter, such as --died-before, shows others.`,
    );
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
