import { Argument, type Command } from 'commander';
import { type Cli, dryRun, type Session } from '../cli.js';
import { type ServiceName } from '../connection.js';
import { CommandFailed } from '../failures.js';
import { serviceOption } from '../lists.js';
import { referenceOf, servicesOf } from '../reference.js';
import { table, time } from '../text.js';

interface Options {
  readonly service?: ServiceName;
}

export function addIncidents(program: Command, cli: Cli): void {
  const group = program.command('incidents').description('what needs a person, such as offsets that went back');
  group
    .command('list')
    .description('list the incidents that nobody has acknowledged')
    .addOption(serviceOption())
    .action(cli.action(list));
  group
    .command('acknowledge')
    .description('take note of an incident, so that health no longer shows it')
    .addOption(serviceOption())
    .addArgument(new Argument('<reference>', 'such as orders/3'))
    .requiredOption('--reason <text>', 'what was done about it, for the audit')
    .addOption(dryRun())
    .action(cli.action(acknowledge));
}

async function list({ terminal, connections }: Session, options: Options): Promise<void> {
  const lists = servicesOf(options.service).map(async (service) => {
    const { items } = await connections.admin(service).listIncidents();
    return items.map((incident) => ({ service, ...incident }));
  });
  const items = (await Promise.all(lists)).flat();
  terminal.result({ items }, () =>
    table(terminal, items, [
      { title: 'INCIDENT', value: ({ service, id }) => `${service}/${id}` },
      { title: 'FIRST', value: ({ firstAt }) => time(firstAt) },
      { title: 'LAST', value: ({ lastAt }) => time(lastAt) },
      { title: 'TIMES', value: ({ occurrences }) => occurrences, align: 'right' },
      { title: 'KIND', value: ({ kind }) => kind },
      { title: 'SUBJECT', value: ({ subject }) => subject, isElastic: true },
      { title: 'PROBLEM', value: ({ problem }) => problem, isElastic: true },
    ]),
  );
}

type AcknowledgeOptions = Options & { readonly reason: string; readonly dryRun?: boolean };

async function acknowledge(
  { terminal, connections }: Session,
  options: AcknowledgeOptions,
  text: string,
): Promise<void> {
  const { service, rest: id } = referenceOf(text, options.service, 'orders/3');
  const admin = connections.admin(service);
  if (options.dryRun) {
    const incident = (await admin.listIncidents()).items.find((one) => one.id === id);
    if (!incident) throw new CommandFailed(`There is no open incident ${text}.`);
    terminal.result(
      { service, ...incident },
      () => `${incident.kind} on ${incident.subject} would be acknowledged. Nothing was changed.`,
    );
    return;
  }
  await admin.acknowledgeIncident({ id, reason: options.reason });
  terminal.result({ service, id }, () => 'The incident is acknowledged.');
}
