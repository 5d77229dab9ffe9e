import { Injectable } from '@nestjs/common';
import { Clock, type Decision, reject } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { type ProductFacts, type ProductRejection, putProduct } from '../domain/product.js';
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
    expectedVersion: number | undefined,
  ): Promise<Decision<StockedProduct, never, ProductRejection>> {
    const known = await this.products.lock(tx, facts.productId);
    const actual = known?.version ?? 0;
    if (expectedVersion !== undefined && expectedVersion !== actual)
      return reject({ code: 'version-conflict', expected: expectedVersion, actual });

    const reserved = known?.reserved ?? 0;
    const decision = putProduct(known, facts, reserved, this.clock.now());
    if (!decision.accepted) return decision;
    const { state } = decision;
    if (known) await this.products.save(tx, known, state);
    // Somebody else has added it since: what they said is there to be looked at now.
    else if (!(await this.products.add(tx, state))) return this.execute(tx, facts, expectedVersion);
    return { ...decision, state: { ...state, reserved } };
  }
}
