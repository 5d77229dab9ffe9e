import { type AdminClient } from '@twinbox/client/admin';
import { Argument, type Command, Option } from 'commander';
import { type Cli, confirmed, dryRun, reason, type Session } from '../cli.js';
import { type ServiceName } from '../connection.js';
import { CommandFailed } from '../failures.js';
import { follow, operationResult } from '../follow.js';
import { type ListOptions, printList, serviceOption, withListOptions } from '../lists.js';
import { referenceOf } from '../reference.js';
import { time } from '../text.js';

const EXAMPLE = 'orders/01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

const STATES = ['running', 'done', 'stopped', 'cancelled', 'failed'] as const;

interface Options {
  readonly service?: ServiceName;
}

export function addOperations(program: Command, cli: Cli): void {
  const group = program.command('operations').description('changes of many messages or jobs, and replays');
  const one = (name: string, description: string) =>
    group
      .command(name)
      .description(description)
      .addOption(serviceOption())
      .addArgument(new Argument('<reference>', `such as ${EXAMPLE}`));
  withListOptions(group.command('list').description('list the operations, the latest first'))
    .addOption(serviceOption())
    .addOption(new Option('--state <state>', 'in this state').choices(STATES))
    .action(cli.action(list));
  one('show', 'show an operation').option('--watch', 'follow it until it has ended').action(cli.action(show));
  one('cancel', 'stop an operation; what it has done remains')
    .addOption(dryRun())
    .addOption(reason())
    .option('--yes', 'do not ask')
    .action(cli.action(cancel));
}

async function list(
  session: Session,
  { state, ...options }: ListOptions & { readonly state?: (typeof STATES)[number] },
): Promise<boolean> {
  const list = (admin: AdminClient, limit: number) => admin.listOperations({ ...(state && { state }), limit });
  return printList(session, options, { by: ({ createdAt }) => createdAt, from: 'newest' }, list, [
    { title: 'OPERATION', value: ({ service, id }) => `${service}/${id}` },
    { title: 'CREATED', value: ({ createdAt }) => time(createdAt) },
    { title: 'KIND', value: ({ kind }) => kind },
    { title: 'STATE', value: ({ state }) => state },
    {
      title: 'DONE',
      value: ({ done, total, totalIsExact }) => `${done}/${total}${totalIsExact ? '' : '+'}`,
      align: 'right',
    },
    { title: 'FAILED', value: ({ failed }) => failed, align: 'right' },
    { title: 'ACTOR', value: ({ actor }) => actor, isElastic: true },
    { title: 'PROBLEM', value: ({ problem }) => problem, isElastic: true },
  ]);
}

async function show(session: Session, options: Options & { readonly watch?: boolean }, text: string): Promise<boolean> {
  const { service, rest: id } = referenceOf(text, options.service, EXAMPLE);
  const operation = await session.connections.admin(service).getOperation({ id });
  if (options.watch) return follow(session, service, operation);
  operationResult(session, service, operation);
  return true;
}

interface CancelOptions extends Options {
  readonly dryRun?: boolean;
  readonly reason?: string;
  readonly yes?: boolean;
}

async function cancel(session: Session, options: CancelOptions, text: string): Promise<boolean> {
  const { terminal, connections } = session;
  const { service, rest: id } = referenceOf(text, options.service, EXAMPLE);
  const admin = connections.admin(service);
  if (options.dryRun) {
    const operation = await admin.getOperation({ id });
    if (operation.finishedAt !== null && operation.state !== 'cancelled')
      throw new CommandFailed(`The operation is ${operation.state}, so it cannot be cancelled.`);
    operationResult(session, service, operation);
    if (!terminal.json) terminal.note('The operation would be cancelled. Nothing was changed.');
    return true;
  }
  if (!(await confirmed(terminal, `Cancel the operation ${text}?`, options.yes))) return false;
  const { reason } = options;
  operationResult(session, service, await admin.cancelOperation({ id, ...(reason !== undefined && { reason }) }));
  return true;
}
