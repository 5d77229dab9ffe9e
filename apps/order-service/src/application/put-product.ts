import { Injectable } from '@nestjs/common';
import { Clock, type Decision, versionConflictOf, type VersionPrecondition } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { type Product, type ProductFacts, type ProductRejection, putProduct } from '../domain/product.js';
import { ProductStore, type StockedProduct } from './product-store.js';

/** An operator says what a product is, what it costs, and how many pieces are on the shelf. */
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
  ): Promise<Decision<StockedProduct, never, ProductRejection>> {
    // Before the lock: nothing could be sold while all live orders are gone through.
    const seen = await this.products.stocked(tx, facts.productId);
    const known = await this.products.lock(tx, facts.productId);
    const conflict = versionConflictOf(precondition, known?.version ?? 0, known?.updatedAt);
    if (conflict) return conflict;

    const reserved = known ? await this.reservedOf(tx, known, seen) : 0;
    const decision = putProduct(known, facts, reserved, this.clock.now());
    if (!decision.accepted) return decision;
    const { state } = decision;
    if (known) await this.products.save(tx, known, state);
    // Somebody else has added it since: what they said is there to be looked at now.
    else if (!(await this.products.add(tx, state))) return this.execute(tx, facts, precondition);
    return { ...decision, state: { ...state, reserved } };
  }

  /**
   * What has been sold or given back since `seen` was read went between available and reserved, and their sum is what it was. Not
   * so when somebody has put the product since: then it is read again, and this time under the lock.
   */
  private async reservedOf(tx: EntityManager, known: Product, seen: StockedProduct | undefined): Promise<number> {
    const counted = seen?.version === known.version ? seen : await this.products.stocked(tx, known.id);
    return counted ? counted.available + counted.reserved - known.available : 0;
  }
}
