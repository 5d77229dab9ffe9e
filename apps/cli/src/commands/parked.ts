import { Argument, type Command } from 'commander';
import { type Cli, type Session } from '../cli.js';
import { type ServiceName } from '../connection.js';
import { messageFilters } from '../filters.js';
import { type ListOptions, printList, serviceOption, withListOptions } from '../lists.js';
import { letterOf } from '../reference.js';
import { fields, formatted, time } from '../text.js';

export function addParked(program: Command, cli: Cli): void {
  const group = program
    .command('parked')
    .description('messages that failed and are retried, or wait behind one of their key');
  const list = withListOptions(
    group.command('list').description('list the parked messages').addOption(serviceOption()),
  );
  for (const option of messageFilters()) list.addOption(option);
  list.action(cli.action(listParked));
  group
    .command('show')
    .description('show a parked message, and what it waits for')
    .addOption(serviceOption())
    .addArgument(new Argument('<reference>', 'such as payments/inbox/17'))
    .action(cli.action(show));
}

async function listParked(session: Session, { service, limit, ...filter }: ListOptions): Promise<void> {
  const list = { ...(service && { service }), limit };
  await printList(session, list, (admin, limit) => admin.listParked({ ...filter, limit }), [
    { title: 'MESSAGE', value: ({ service, box, id }) => `${service}/${box}/${id}` },
    { title: 'PARKED', value: ({ parkedAt }) => time(parkedAt) },
    { title: 'TYPE', value: ({ type }) => type },
    { title: 'KEY', value: ({ key }) => key, isElastic: true },
    { title: 'ATTEMPTS', value: ({ attempts }) => attempts, align: 'right' },
    { title: 'WAITS FOR', value: ({ waitsFor }) => waitsFor, isElastic: true },
    { title: 'ERROR', value: ({ error }) => error, isElastic: true },
  ]);
}

async function show({ terminal, connections }: Session, options: { readonly service?: ServiceName }, text: string) {
  const { service, box, id } = letterOf(text, options.service);
  const message = await connections.admin(service).getParked({ box, id });
  const { payload, ...rest } = message;
  terminal.result({ service, ...message }, () =>
    [fields(terminal, rest), `\n${terminal.styled('bold', 'content')}`, formatted(payload ?? '')].join('\n'),
  );
}
