import fc from 'fast-check';
import { Books } from './order-and-payment/auditor.js';
import { Tally } from './order-and-payment/change.js';
import { drain, holdEnd } from './order-and-payment/end.js';
import { type Move } from './order-and-payment/move.js';
import * as order from './order-and-payment/order-moves.js';
import * as payment from './order-and-payment/payment-moves.js';
import * as topic from './order-and-payment/topic-moves.js';
import { type Setting, TTL_MS, World } from './order-and-payment/world.js';

type Commands = Iterable<fc.AsyncCommand<Books, World>>;

/** A move as fast-check has it: the model is the auditor's books, and what is real is both services. */
class Command implements fc.AsyncCommand<Books, World> {
  constructor(private readonly move: Move) {}

  check({ world }: Books): boolean {
    return this.move.can(world);
  }

  async run(books: Books, world: World): Promise<void> {
    books.audit(this.move.name, await this.move.make(world));
  }

  toString(): string {
    return this.move.name;
  }
}

/** How often each kind of move is tried, against the others. */
const moves: readonly (readonly [number, fc.Arbitrary<Move>])[] = [
  [3, order.opening],
  [2, order.editing],
  [3, order.placing],
  [2, order.cancelling],
  [1, order.finishing],
  [1, order.counting],
  [8, topic.delivering],
  [1, topic.settingBack],
  [2, topic.misreading],
  [1, topic.retrying],
  [2, topic.sayingAgain],
  [1, topic.lying],
  [4, payment.working],
  [4, payment.answering],
  [1, payment.givingUp],
  [1, payment.confirming],
  [2, payment.deciding],
  [2, payment.sending],
  [2, payment.receiving],
  [2, payment.expiring],
  [1, payment.waiting],
];

const aSetting: fc.Arbitrary<Setting> = fc.record({ isAutomatic: fc.boolean(), stock: fc.integer({ min: 2, max: 8 }) });
const manyMoves = fc.commands(
  moves.flatMap(([weight, move]) => Array.from({ length: weight }, () => move.map((made) => new Command(made)))),
  { maxCommands: 300, size: 'max' },
);

/** Any moves of anybody in any order; then all that is under way comes to its end: first in time, then after it. */
async function live(setting: Setting, commands: Commands, tally: Tally): Promise<void> {
  const world = await World.of(setting);
  const books = new Books(world, tally);
  try {
    await fc.asyncModelRun(() => ({ model: books, real: world }), commands);
    await drain(world, books);
    holdEnd(books);
    world.wait(TTL_MS);
    await drain(world, books);
    holdEnd(books);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n\n${books.story}\n`, { cause: error });
  }
}

async function explore(parameters: fc.Parameters<[Setting, Commands]>): Promise<Tally> {
  const tally = new Tally();
  const property = fc.asyncProperty(aSetting, manyMoves, (setting, commands) => live(setting, commands, tally));
  await fc.assert(property, parameters);
  return tally;
}

it('whatever comes between, order and payment end as one, and stock and money are conserved', async () => {
  await explore({ numRuns: 600 });
});

it('what is to be feared does come between, and does no harm', async () => {
  const { counts } = await explore({ seed: 10, numRuns: 1000 });

  expect(FEARED.filter((what) => (counts[what] ?? 0) < 10)).toEqual([]);
});

/** As the laws count it: what came to whom, in which status; why a move was in vain; and how it all ended. */
const FEARED = [
  // A cancellation and the payment cross.
  'order: PaymentRequested passed over in CANCELLED',
  'order: PaymentSucceeded passed over in CANCELLED',
  'order: PaymentFailed passed over in CANCELLED',
  'payment: RefundRequested in SUCCEEDED',
  'payment: OrderCancelled in FAILED',
  'payment: OrderCancelled in FAILED by expiry',
  'payment: OrderCancelled in REFUND_PENDING',
  'payment: LatePaymentReceived in CANCELLED',
  // The end of a payment's time and its result cross.
  'payment: PaymentSucceeded in PENDING past its time',
  'payment: PaymentCancelled in PENDING past its time',
  'payment: LatePaymentReceived in FAILED by expiry',
  // Operators, the gateway and the provider contradict each other.
  'payment: LatePaymentReceived in FAILED',
  'payment: payment FAILED passed over in SUCCEEDED',
  'payment: payment FAILED passed over in REFUNDED',
  'payment: payment SUCCEEDED passed over in SUCCEEDED',
  'payment: payment SUCCEEDED passed over in REFUND_PENDING',
  'payment: charge passed over in SUCCEEDED',
  'payment: charge passed over in REFUND_PENDING',
  'in vain: payment-already-decided',
  'message: an untrue PaymentSucceeded',
  'message: an untrue PaymentFailed',
  // Something is said, done or asked for again.
  'message: a second OrderPlaced',
  'message: a second OrderCancelled',
  'message: a second PaymentRequested',
  'message: a second PaymentSucceeded',
  'message: a second PaymentFailed',
  'message: a second PaymentCancelled',
  'in vain: a known message',
  'in vain: a known webhook',
  'in vain: a known result of a charge',
  'in vain: a decision of before',
  // Money goes back by hand, or somebody says so.
  'in vain: a refund is given up',
  'payment: PaymentRefunded in REFUND_PENDING by hand',
  'in vain: refund-under-way',
  'in vain: refund-not-due',
  'in vain: a refund of before',
  // What could not be read for a while comes behind what was said after it.
  'order: OrderCompleted in PLACED',
  'order: PaymentFailed in PLACED',
  'payment: OrderCancelled passed over in none',
  'payment: PaymentCancelled in none',
  // Customers and operators get in each other's way.
  'in vain: insufficient-stock',
  'in vain: somebody was faster',
  'in vain: stock-reserved',
  'in vain: version-conflict',
  'in vain: order-wrong-status',
  'in vain: order-not-found',
  // Every end there is.
  'end: DRAFT, no payment',
  'end: PAYMENT_PENDING, PENDING',
  'end: COMPLETED, SUCCEEDED',
  'end: FINISHED, SUCCEEDED',
  'end: CANCELLED, no payment',
  'end: CANCELLED, FAILED',
  'end: CANCELLED, CANCELLED',
  'end: CANCELLED, REFUNDED',
];
