import { type Sight, sightOf, stepOf, type Tally } from './change.js';
import { allLaws } from './invariants.js';
import { type OrderLine } from './order-side.js';
import { type PaymentLine } from './payment-side.js';
import { type World } from './world.js';

/** The model: an auditor who writes down what every move has changed, and holds it against the laws. */
export class Books {
  private sight: Sight;
  private readonly diary: string[] = [];

  constructor(
    readonly world: World,
    readonly tally: Tally,
  ) {
    this.sight = sightOf(world);
  }

  /** Throws when the move broke a law. `inVain`: why nothing must have come of it, if so. */
  audit(move: string, inVain: string | undefined): void {
    const { world, tally, sight: before } = this;
    const now = sightOf(world);
    const newOrderLines = now.orderLines.slice(before.orderLines.length);
    const newPaymentLines = now.paymentLines.slice(before.paymentLines.length);
    if (inVain !== undefined) tally.add(`in vain: ${inVain}`);
    this.diary.push(inVain === undefined ? move : `${move} (in vain: ${inVain})`);
    this.diary.push(...[...newOrderLines, ...newPaymentLines].map((line) => `    ${this.wordsOf(line)}`));
    this.sight = now;
    for (const law of allLaws) law({ world, before, now, newOrderLines, newPaymentLines, tally, inVain });
  }

  /** All that was done, with the steps that each move led to. */
  get story(): string {
    return this.diary.join('\n');
  }

  private wordsOf(line: OrderLine | PaymentLine): string {
    return `${stepOf(line)}: order ${this.world.slotOf(line.orderId)} is ${line.status}`;
  }
}
