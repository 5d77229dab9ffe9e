import { Injectable } from '@nestjs/common';
import { Clock } from '@twinbox/kernel';
import { allDone } from '@twinbox/messaging/transactions';
import { type EntityManager } from 'typeorm';
import { addItems, changeItem, type NewOrder, openDraft, removeItem, type WantedLine } from '../domain/cart.js';
import { type OrderDecision } from '../domain/order.js';
import { Quotas } from '../domain/quotas.js';
import { type OrderCommand, OrderJournal, type Origin } from './order-journal.js';
import { orderIdOf } from './place-order.js';
import { ProductStore } from './product-store.js';
import { QuotaStore } from './quota-store.js';

/** Opens and edits a draft. Nothing is reserved or published. */
@Injectable()
export class EditCart {
  constructor(
    private readonly journal: OrderJournal,
    private readonly products: ProductStore,
    private readonly holdings: QuotaStore,
    private readonly quotas: Quotas,
    private readonly clock: Clock,
  ) {}

  async open(tx: EntityManager, wanted: Omit<NewOrder, 'orderId'>, origin: Origin): Promise<OrderDecision> {
    const at = this.clock.now();
    const [catalogue, drafts] = await allDone([
      this.products.catalogue(tx, wanted.lines),
      this.holdings.lockDrafts(tx, wanted.customerId, this.quotas.limits.drafts),
    ]);
    const exceeded = this.quotas.forDraft(drafts);
    if (exceeded) return exceeded;
    const decision = openDraft({ ...wanted, orderId: orderIdOf(at) }, catalogue, at);
    if (decision.accepted) await this.journal.open(tx, decision, origin);
    return decision;
  }

  async add(tx: EntityManager, command: OrderCommand, lines: readonly WantedLine[]): Promise<OrderDecision> {
    return this.journal.run(tx, command, 'owner', async (order) =>
      addItems(order, lines, await this.products.catalogue(tx, lines), this.clock.now()),
    );
  }

  async change(tx: EntityManager, command: OrderCommand, wanted: WantedLine): Promise<OrderDecision> {
    return this.journal.run(tx, { ...command, productId: wanted.productId }, 'owner', async (order) =>
      changeItem(order, wanted, await this.products.catalogue(tx, [wanted]), this.clock.now()),
    );
  }

  async remove(tx: EntityManager, command: OrderCommand, productId: string): Promise<OrderDecision> {
    return this.journal.run(tx, { ...command, productId }, 'owner', (order) =>
      removeItem(order, productId, this.clock.now()),
    );
  }
}
