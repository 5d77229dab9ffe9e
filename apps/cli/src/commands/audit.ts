import { type AdminClient, type ListAuditEntriesInput } from '@twinbox/client/admin';
import { type Command, Option } from 'commander';
import { type Cli, type Session } from '../cli.js';
import { type ListOptions, printList, serviceOption, withListOptions } from '../lists.js';
import { time } from '../text.js';

const OUTCOMES = ['done', 'refused'] as const;

export function addAudit(program: Command, cli: Cli): void {
  withListOptions(program.command('audit').description('list who changed what, when and why, the latest first'))
    .addOption(serviceOption())
    .option('--actor <actor>', 'by this person')
    .option('--action <action>', 'of this kind')
    .option('--message-id <id>', 'that concern this message')
    .option('--operation <id>', 'of this operation')
    .addOption(new Option('--outcome <outcome>', 'done, or refused').choices(OUTCOMES))
    .action(cli.action(audit));
}

type AuditOptions = ListOptions & Omit<ListAuditEntriesInput, 'limit' | 'cursor'>;

async function audit(session: Session, { service, limit, ...filter }: AuditOptions): Promise<boolean> {
  const options = { ...(service && { service }), limit };
  const list = (admin: AdminClient, limit: number) => admin.listAuditEntries({ ...filter, limit });
  return printList(session, options, { by: ({ at }) => at, from: 'newest' }, list, [
    { title: 'SERVICE', value: ({ service }) => service },
    { title: 'AT', value: ({ at }) => time(at) },
    { title: 'ACTOR', value: ({ actor }) => actor },
    { title: 'ACTION', value: ({ action, outcome }) => (outcome === 'done' ? action : `${action} (${outcome})`) },
    { title: 'BOX', value: ({ box }) => box },
    { title: 'SUBJECT', value: ({ letter }) => letter['id'] as string | undefined, isElastic: true },
    { title: 'REASON', value: ({ reason }) => reason, isElastic: true },
    { title: 'DETAIL', value: ({ detail }) => detail, isElastic: true },
  ]);
}
