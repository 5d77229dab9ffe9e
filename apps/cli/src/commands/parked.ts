import { type AdminClient, type ListDeadLettersInput, type ParkedMessage } from '@twinbox/client/admin';
import { Argument, type Command } from 'commander';
import { type Cli, type Session } from '../cli.js';
import { type ServiceName } from '../connection.js';
import { details } from '../details.js';
import { boxesOf, messageFilters } from '../filters.js';
import { type ListOptions, printList, serviceOption, withListOptions } from '../lists.js';
import { letterOf } from '../reference.js';
import { time } from '../text.js';

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

type ParkedOptions = ListOptions &
  Pick<ListDeadLettersInput, 'consumer' | 'topic' | 'type' | 'key'> & {
    readonly box?: 'inbox' | 'outbox';
  };

async function listParked(session: Session, { service, limit, ...filter }: ParkedOptions): Promise<boolean> {
  const options = { ...(service && { service }), limit };
  const list = (admin: AdminClient, limit: number) =>
    boxesOf(filter).map((box) => admin.listParkedMessages({ ...filter, box, limit }));
  return printList(session, options, { by: ({ since }) => since, from: 'oldest' }, list, [
    { title: 'MESSAGE', value: ({ service, box, id }) => `${service}/${box}/${id}` },
    { title: 'SINCE', value: ({ since }) => time(since) },
    { title: 'TYPE', value: ({ type }) => type },
    { title: 'KEY', value: ({ key }) => key, isElastic: true },
    { title: 'CONSUMER', value: ({ consumer }) => consumer, isElastic: true },
    { title: 'ATTEMPTS', value: ({ attempts }) => attempts, align: 'right' },
    { title: 'WAITS FOR', value: whatItWaitsFor },
    { title: 'ERROR', value: ({ error }) => error, isElastic: true },
  ]);
}

function whatItWaitsFor({ box, waitsFor, nextAttemptAt }: ParkedMessage): string {
  if (waitsFor !== null) return `${waitsFor.dead ? 'dead letter' : 'message'} ${box}/${waitsFor.id}`;
  return nextAttemptAt === null ? 'the relay' : time(nextAttemptAt);
}

async function show({ terminal, connections }: Session, options: { readonly service?: ServiceName }, text: string) {
  const { service, box, id } = letterOf(text, options.service);
  const message = await connections.admin(service).getParkedMessage({ box, id });
  const { payload, history, ...rest } = message;
  const shown = { ...rest, since: time(rest.since), waitsFor: whatItWaitsFor(message), nextAttemptAt: undefined };
  terminal.result({ service, ...message }, () => details(terminal, shown, history, payload ?? ''));
}
