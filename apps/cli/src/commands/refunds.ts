import { Argument, type Command } from 'commander';
import { checkConfirmable, type Cli, confirmed, count, dryRun, type Session } from '../cli.js';
import { CommandFailed } from '../failures.js';
import { printFirst } from '../lists.js';
import { time } from '../text.js';

/** Refunds that wait: the customer of a cancelled order has paid. */
export function addRefunds(program: Command, cli: Cli): void {
  const group = program.command('refunds').description('payments of cancelled orders that must go back');
  group
    .command('list')
    .description('list the pending refunds, the oldest first')
    .option('--limit <count>', 'how many are listed', count, 50)
    .action(cli.action(list));
  group
    .command('confirm')
    .description('record that the money of a refund was paid back by hand')
    .addArgument(new Argument('<id>', 'the id of the refund, as "list" prints it'))
    .addOption(dryRun())
    .option('--yes', 'do not ask')
    .action(cli.action(confirm));
}

async function list(session: Session, { limit }: { readonly limit: number }): Promise<void> {
  const pages = session.connections.payments.listPaymentRequests({ status: ['REFUND_PENDING'], sort: 'created' });
  await printFirst(session, pages, limit, [
    { title: 'REFUND', value: ({ id }) => id },
    { title: 'SINCE', value: ({ updatedAt }) => time(updatedAt) },
    { title: 'AMOUNT', value: ({ amount, currency }) => `${amount} ${currency}`, align: 'right' },
    { title: 'GATEWAY', value: ({ gateway }) => gateway },
    { title: 'ORDER', value: ({ orderId }) => orderId },
    { title: 'CUSTOMER', value: ({ customerId }) => customerId, isElastic: true },
  ]);
}

interface ConfirmOptions {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

async function confirm(
  { terminal, connections }: Session,
  { dryRun, yes }: ConfirmOptions,
  paymentRequestId: string,
): Promise<boolean> {
  if (!dryRun) checkConfirmable(terminal, yes);
  const { payments } = connections;
  const found = await payments.getPaymentRequest({ paymentRequestId });
  const { amount, currency, customerId, gateway } = found;
  const subject = `the refund of ${amount} ${currency} to ${customerId}`;
  if (dryRun) {
    if (found.status !== 'REFUND_PENDING')
      throw new CommandFailed(`No refund of ${paymentRequestId} is pending. Its payment is ${found.status}.`);
    terminal.result(
      found,
      () =>
        `${capitalized(subject)} would be recorded as paid. Nothing was changed. Whether the gateway ${gateway} has given it up was not ` +
        'checked; if it has not, it is refused.',
    );
    return true;
  }
  if (!(await confirmed(terminal, `Record ${subject} as paid, for good?`, yes))) return false;
  const request = await payments.markPaymentRefunded({ paymentRequestId });
  terminal.result(request, () => `${capitalized(subject)} is recorded as paid.`);
  return true;
}

const capitalized = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
