import { type Snapshot, snapshotOf, stepOf, type Tally } from './change.js';
import { allInvariants } from './invariants.js';
import { type OrderLine } from './order-side.js';
import { type PaymentLine } from './payment-tables.js';
import { type World } from './world.js';

/** The model: records what every move changes, and checks it against the invariants. */
export class Auditor {
  private snapshot: Snapshot;
  private readonly log: string[] = [];

  constructor(
    readonly world: World,
    readonly tally: Tally,
  ) {
    this.snapshot = snapshotOf(world);
  }

  /** Throws when the move violated an invariant. `noEffect`: the reason why the move must change nothing, if there is one. */
  audit(move: string, noEffect: string | undefined): void {
    const { world, tally, snapshot: before } = this;
    const now = snapshotOf(world);
    const newOrderLines = now.orderLines.slice(before.orderLines.length);
    const newPaymentLines = now.paymentLines.slice(before.paymentLines.length);
    if (noEffect !== undefined) tally.add(`no effect: ${noEffect}`);
    this.log.push(noEffect === undefined ? move : `${move} (no effect: ${noEffect})`);
    this.log.push(...[...newOrderLines, ...newPaymentLines].map((line) => `    ${this.describe(line)}`));
    this.snapshot = now;
    for (const check of allInvariants) check({ world, before, now, newOrderLines, newPaymentLines, tally, noEffect });
  }

  /** Every move so far, with the steps it led to. */
  get story(): string {
    return this.log.join('\n');
  }

  private describe(line: OrderLine | PaymentLine): string {
    return `${stepOf(line)}: order ${this.world.slotOf(line.orderId)} is ${line.status}`;
  }
}
