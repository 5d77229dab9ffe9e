import fc from 'fast-check';
import { Auditor } from './auditor.js';
import { Tally } from './change.js';
import { drain, checkEnd } from './end.js';
import { type Move } from './move.js';
import * as order from './order-moves.js';
import * as payment from './payment-moves.js';
import * as topic from './topic-moves.js';
import { type Setting, TTL_MS, World } from './world.js';

type Commands = Iterable<fc.AsyncCommand<Auditor, World>>;

/** A move as a fast-check command. The model is the auditor, and the real system is both services. */
class Command implements fc.AsyncCommand<Auditor, World> {
  constructor(private readonly move: Move) {}

  check({ world }: Auditor): boolean {
    return this.move.can(world);
  }

  async run(auditor: Auditor, world: World): Promise<void> {
    auditor.audit(this.move.name, await this.move.make(world));
  }

  toString(): string {
    return this.move.name;
  }
}

/** The weight of each kind of move. */
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
  [2, topic.republishing],
  [1, topic.fabricating],
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

/** Makes any moves in any order, then lets everything in flight finish, both before and after payments expire. */
async function live(setting: Setting, commands: Commands, tally: Tally): Promise<void> {
  const world = await World.of(setting);
  const auditor = new Auditor(world, tally);
  try {
    await fc.asyncModelRun(() => ({ model: auditor, real: world }), commands);
    await drain(world, auditor);
    checkEnd(auditor);
    world.wait(TTL_MS);
    await drain(world, auditor);
    checkEnd(auditor);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n\n${auditor.story}\n`, { cause: error });
  }
}

async function explore(parameters: fc.Parameters<[Setting, Commands]>): Promise<Tally> {
  const tally = new Tally();
  const property = fc.asyncProperty(aSetting, manyMoves, (setting, commands) => live(setting, commands, tally));
  await fc.assert(property, parameters);
  return tally;
}

it('order and payment end consistently, and stock and money are conserved, under any interleaving', async () => {
  await explore({ numRuns: 600 });
});

it('the dangerous interleavings do occur and do no harm', async () => {
  const { counts } = await explore({ seed: 10, numRuns: 1000 });

  expect(DANGEROUS.filter((what) => (counts[what] ?? 0) < 10)).toEqual([]);
});

/** As counted by the invariants: what arrived in which status, why a move had no effect, and how everything ended. */
const DANGEROUS = [
  // A cancellation and the payment cross.
  'order: PaymentRequested ignored in CANCELLED',
  'order: PaymentSucceeded ignored in CANCELLED',
  'order: PaymentFailed ignored in CANCELLED',
  'payment: RefundRequested in SUCCEEDED',
  'payment: OrderCancelled in FAILED',
  'payment: OrderCancelled in FAILED by expiry',
  'payment: OrderCancelled in REFUND_PENDING',
  'payment: LatePaymentReceived in CANCELLED',
  // The expiry of a payment and its result cross.
  'payment: PaymentSucceeded in PENDING after expiry',
  'payment: PaymentCancelled in PENDING after expiry',
  'payment: LatePaymentReceived in FAILED by expiry',
  // Operators, the gateway and the provider contradict each other.
  'payment: LatePaymentReceived in FAILED',
  'payment: payment FAILED ignored in SUCCEEDED',
  'payment: payment FAILED ignored in REFUNDED',
  'payment: payment SUCCEEDED ignored in SUCCEEDED',
  'payment: payment SUCCEEDED ignored in REFUND_PENDING',
  'payment: charge ignored in SUCCEEDED',
  'payment: charge ignored in REFUND_PENDING',
  'no effect: payment-already-decided',
  'message: a fabricated PaymentSucceeded',
  'message: a fabricated PaymentFailed',
  // Something is published, done or requested again.
  'message: a second OrderPlaced',
  'message: a second OrderCancelled',
  'message: a second PaymentRequested',
  'message: a second PaymentSucceeded',
  'message: a second PaymentFailed',
  'message: a second PaymentCancelled',
  'no effect: a duplicate message',
  'no effect: a duplicate webhook',
  'no effect: a repeated result of a charge',
  'no effect: a repeated decision',
  // A refund is made by hand, or confirmed without being due.
  'no effect: a refund is given up',
  'payment: PaymentRefunded in REFUND_PENDING by hand',
  'no effect: refund-under-way',
  'no effect: refund-not-due',
  'no effect: a repeated refund',
  // A retried dead letter arrives after later messages.
  'order: OrderCompleted in PLACED',
  'order: PaymentFailed in PLACED',
  'payment: OrderCancelled ignored in none',
  'payment: PaymentCancelled in none',
  // Customers and operators conflict.
  'no effect: insufficient-stock',
  'no effect: too-many-drafts',
  'no effect: too-many-unpaid-orders',
  'no effect: a concurrent sale',
  'no effect: stock-reserved',
  'no effect: version-conflict',
  'no effect: order-wrong-status',
  'no effect: order-not-found',
  // Every possible end.
  'end: DRAFT, no payment',
  'end: PAYMENT_PENDING, PENDING',
  'end: COMPLETED, SUCCEEDED',
  'end: FINISHED, SUCCEEDED',
  'end: CANCELLED, no payment',
  'end: CANCELLED, FAILED',
  'end: CANCELLED, CANCELLED',
  'end: CANCELLED, REFUNDED',
];
