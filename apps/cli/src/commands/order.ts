import { Argument, type Command } from 'commander';
import { Answers } from '../answers.js';
import { type Cli, count, type Session } from '../cli.js';
import { printFirst } from '../lists.js';
import { type Step, traceOrder } from '../order-trace.js';
import { type Terminal } from '../terminal.js';
import { counted, duration, Styled, table, time } from '../text.js';

export function addOrder(program: Command, cli: Cli): void {
  const group = program.command('order').description('orders that wait too long, and what happened to one order');
  group
    .command('late')
    .description('list the orders that wait too long for their payment, the oldest first')
    .option('--limit <count>', 'how many are listed', count, 50)
    .action(cli.action(late));
  group
    .command('trace')
    .description('show the timelines of both services, and the messages between them, on one time axis')
    .addArgument(new Argument('<id>', 'the id of the order'))
    .action(cli.action(trace));
}

async function late(session: Session, { limit }: { readonly limit: number }): Promise<void> {
  await printFirst(session, session.connections.orders.getOrders({ late: true, sort: 'created' }), limit, [
    { title: 'ORDER', value: ({ id }) => id },
    { title: 'STATUS', value: ({ status }) => status },
    { title: 'CREATED', value: ({ createdAt }) => time(createdAt) },
    { title: 'CUSTOMER', value: ({ customerId }) => customerId, isElastic: true },
  ]);
}

async function trace({ terminal, connections }: Session, _options: object, orderId: string): Promise<boolean> {
  const answers = new Answers(terminal);
  const steps = await traceOrder(connections, answers, orderId);
  const { areComplete } = answers;
  return answers.print(
    { orderId, steps },
    () => `${table(terminal, withDelays(steps), columns(terminal))}\n\n${summary(terminal, steps, areComplete)}`,
  );
}

type Delayed = Step & { readonly delayMs: number | undefined };

function withDelays(steps: readonly Step[]): Delayed[] {
  return steps.map((step, n) => {
    const before = steps[n - 1];
    return { ...step, delayMs: before && Date.parse(step.at) - Date.parse(before.at) };
  });
}

const columns = (terminal: Terminal) => [
  { title: 'TIME', value: ({ at }: Delayed) => at },
  {
    title: 'DELAY',
    value: ({ delayMs }: Delayed) => (delayMs === undefined ? '' : `+${duration(delayMs)}`),
    align: 'right' as const,
  },
  { title: 'SERVICE', value: ({ service }: Delayed) => service },
  { title: 'PLACE', value: ({ place }: Delayed) => place, isElastic: true },
  { title: 'WHAT', value: ({ what }: Delayed) => what },
  {
    title: 'MARK',
    value: ({ mark }: Delayed) => (mark ? new Styled(terminal.styled(COLORS[mark], mark.toUpperCase())) : ''),
  },
  { title: 'DETAIL', value: ({ detail }: Delayed) => detail, isElastic: true },
];

const COLORS = { unpublished: 'yellow', parked: 'yellow', dead: 'red' } as const;

function summary(terminal: Terminal, steps: readonly Step[], areComplete: boolean): string {
  const marked = steps.filter(({ mark }) => mark !== undefined);
  if (marked.length === 0 && !areComplete) return terminal.styled('yellow', 'Steps are missing here.');
  return marked.length === 0
    ? terminal.styled('green', 'Nothing is parked, dead or unpublished.')
    : terminal.styled('red', `${counted(marked.length, 'step')} of these need attention.`);
}
