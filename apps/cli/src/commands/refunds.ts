import { Argument, type Command } from 'commander';
import { type Cli, count, dryRun, type Session } from '../cli.js';
import { CommandFailed } from '../failures.js';
import { firstOf } from '../lists.js';
import { table, time } from '../text.js';

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
    .action(cli.action(confirm));
}

async function list({ terminal, connections }: Session, { limit }: { readonly limit: number }): Promise<void> {
  const pages = connections.payments.listPaymentRequests({ status: ['REFUND_PENDING'], sort: 'created' });
  const items = await firstOf(pages, limit);
  terminal.result({ items }, () =>
    table(terminal, items, [
      { title: 'REFUND', value: ({ id }) => id },
      { title: 'SINCE', value: ({ updatedAt }) => time(updatedAt) },
      { title: 'AMOUNT', value: ({ amount, currency }) => `${amount} ${currency}`, align: 'right' },
      { title: 'GATEWAY', value: ({ gateway }) => gateway },
      { title: 'ORDER', value: ({ orderId }) => orderId },
      { title: 'CUSTOMER', value: ({ customerId }) => customerId, isElastic: true },
    ]),
  );
}

async function confirm(
  { terminal, connections }: Session,
  { dryRun }: { readonly dryRun?: boolean },
  paymentRequestId: string,
): Promise<void> {
  const { payments } = connections;
  if (dryRun) {
    const request = await payments.getPaymentRequest({ paymentRequestId });
    if (request.status !== 'REFUND_PENDING')
      throw new CommandFailed(`No refund of ${paymentRequestId} is pending. Its payment is ${request.status}.`);
    terminal.result(request, () => 'The refund would be recorded as paid. Nothing was changed.');
    return;
  }
  const request = await payments.markPaymentRefunded({ paymentRequestId });
  terminal.result(request, () => `The refund of order ${request.orderId} is recorded as paid.`);
}
