import { Argument, type Command } from 'commander';
import { type MessagingOverview } from '@twinbox/client/admin';
import { type Cli, dryRun, reason, type Session } from '../cli.js';
import { type ServiceName, SERVICES } from '../connection.js';
import { CommandFailed } from '../failures.js';
import { serviceOption } from '../lists.js';
import { referenceOf } from '../reference.js';

interface PauseOptions {
  readonly service?: ServiceName;
  readonly reason?: string;
  readonly dryRun?: boolean;
}

const KINDS = {
  consumers: { kind: 'consumer', noun: 'a consumer', example: 'payments/payment-service' },
  queues: { kind: 'queue', noun: 'a job queue', example: 'payments/charge' },
} as const;

/** `consumers`, `queues` and `relay`: what can be paused and resumed. */
export function addPauses(program: Command, cli: Cli): void {
  for (const [name, { kind, noun, example }] of Object.entries(KINDS)) {
    const group = program.command(name).description(`pause and resume ${noun} in all replicas`);
    for (const action of ['pause', 'resume'] as const)
      changing(group.command(action).description(`${action} ${noun}`), action)
        .addOption(serviceOption())
        .addArgument(new Argument('<reference>', `such as ${example}`))
        .action(
          cli.action((session, options: PauseOptions, text: string) => {
            const { service, rest } = referenceOf(text, options.service, example);
            return change(session, options, action, { service, kind, name: rest });
          }),
        );
  }
  const relay = program.command('relay').description('pause and resume the publishing of a service');
  for (const action of ['pause', 'resume'] as const)
    changing(relay.command(action).description(`${action} the relay`), action)
      .addArgument(new Argument('<service>', 'one of the services').choices(SERVICES))
      .action(
        cli.action((session, options: PauseOptions, service: ServiceName) =>
          change(session, options, action, { service, kind: 'relay', name: 'relay' }),
        ),
      );
}

const changing = (command: Command, action: string) =>
  command
    .addHelpText(
      'after',
      action === 'pause' ? '\nEvery replica stops within 2 seconds. What is running is finished.' : '',
    )
    .addOption(dryRun())
    .addOption(reason());

interface Target {
  readonly service: ServiceName;
  readonly kind: 'consumer' | 'queue' | 'relay';
  readonly name: string;
}

async function change(
  { terminal, connections }: Session,
  { reason, dryRun }: PauseOptions,
  action: 'pause' | 'resume',
  { service, kind, name }: Target,
): Promise<void> {
  const admin = connections.admin(service);
  const called = kind === 'relay' ? `The relay of ${service}` : `The ${kind} ${name} of ${service}`;
  if (dryRun) {
    const paused = isPaused(await admin.getMessagingOverview(), { service, kind, name });
    const isChange = paused !== (action === 'pause');
    terminal.result({ service, kind, name, paused, wouldChange: isChange }, () =>
      isChange ? `${called} would be ${action}d. Nothing was changed.` : `${called} is ${action}d already.`,
    );
    return;
  }
  const input = { kind, name, ...(reason !== undefined && { reason }) };
  await (action === 'pause' ? admin.pauseProcessing(input) : admin.resumeProcessing(input));
  terminal.result({ service, kind, name, paused: action === 'pause' }, () => `${called} is ${action}d.`);
}

/** @throws CommandFailed if the service has no such consumer or queue */
function isPaused({ relay, consumers, queues }: MessagingOverview, { service, kind, name }: Target): boolean {
  if (kind === 'relay') return relay.paused !== null;
  const all =
    kind === 'consumer'
      ? consumers.map(({ consumer, paused }) => ({ name: consumer, paused }))
      : queues.map(({ queue, paused }) => ({ name: queue, paused }));
  const found = all.find((one) => one.name === name);
  if (found) return found.paused !== null;
  const known = all.map((one) => one.name).join(', ') || 'none';
  throw new CommandFailed(`${service} has no ${kind} ${name}. Known: ${known}.`);
}
