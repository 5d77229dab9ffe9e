import { Injectable } from '@nestjs/common';
import { Clock, type Decision, versionConflictOf, type VersionPrecondition } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { type Product, type ProductFacts, type ProductRejection, putProduct } from '../domain/product.js';
import { type ProductChange, ProductStore, type StockedProduct } from './product-store.js';

@Injectable()
export class PutProduct {
  constructor(
    private readonly products: ProductStore,
    private readonly clock: Clock,
  ) {}

  async execute(
    tx: EntityManager,
    facts: ProductFacts,
    precondition: VersionPrecondition,
    actor: string,
  ): Promise<Decision<StockedProduct, never, ProductRejection>> {
    // Before the lock, because sales would have to wait while all live orders are scanned.
    const seen = await this.products.stocked(tx, facts.productId);
    const known = await this.products.lock(tx, facts.productId);
    const conflict = versionConflictOf(precondition, known?.version ?? 0, known?.updatedAt);
    if (conflict) return conflict;

    const reserved = known ? await this.reservedOf(tx, known, seen) : 0;
    const decision = putProduct(known, facts, reserved, this.clock.now());
    if (!decision.accepted) return decision;
    const { state } = decision;
    if (known) await this.products.save(tx, known, state);
    // The product was added concurrently, so try again with what is there now.
    else if (!(await this.products.add(tx, state))) return this.execute(tx, facts, precondition, actor);
    const change = { actor, from: known && { ...known, reserved }, to: { ...state, reserved } };
    if (changesValue(change)) await this.products.record(tx, change);
    return { ...decision, state: change.to, steps: [] };
  }

  /**
   * Sales and releases since `seen` was read moved pieces between available and reserved, so the sum is unchanged. If an operator has
   * changed the product since then, it is read again, now under the lock.
   */
  private async reservedOf(tx: EntityManager, known: Product, seen: StockedProduct | undefined): Promise<number> {
    const counted = seen?.version === known.version ? seen : await this.products.stocked(tx, known.id);
    return counted ? counted.available + counted.reserved - known.available : 0;
  }
}

/** Another name leaves price and stock as they are. */
function changesValue({ from, to }: ProductChange): boolean {
  return from?.price !== to.price || from.currency !== to.currency || from.available !== to.available;
}
