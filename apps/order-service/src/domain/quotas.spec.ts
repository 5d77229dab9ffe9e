import fc from 'fast-check';
import { aPlacedOrder, aProduct } from '../../test/order.fixtures.js';
import { Catalogue, type Line } from './product.js';
import { type Holdings, holdingsAfter, type QuotaLimits, Quotas } from './quotas.js';

const limits = (fields: Partial<QuotaLimits> = {}): QuotaLimits => ({
  drafts: 3,
  unpaidOrders: 3,
  heldPieces: 1000,
  heldShare: 0.5,
  shareAbove: 10,
  ...fields,
});

const holding = (fields: Partial<Holdings> = {}): Holdings => ({
  unpaidOrders: 0,
  pieces: 0,
  ofProduct: new Map(),
  ...fields,
});

const anOrderOf = (quantity: number) => aPlacedOrder({ lines: [{ productId: 'tea', quantity }] });
const stockOf = (available: number) => new Catalogue([aProduct({ available })]);

it('allows as many drafts as the limit, and not one more', () => {
  const quotas = new Quotas(limits());

  expect(quotas.forDraft(2)).toBeUndefined();
  expect(quotas.forDraft(3)).toMatchObject({ rejection: { code: 'too-many-drafts', most: 3 } });
});

it.each([
  ['an order within all limits', 10, holding(), stockOf(1000), undefined],
  ['the last unpaid order', 1, holding({ unpaidOrders: 2 }), stockOf(1000), undefined],
  [
    'an unpaid order too many',
    1,
    holding({ unpaidOrders: 3 }),
    stockOf(1000),
    { code: 'too-many-unpaid-orders', most: 3 },
  ],
  ['the last piece of all products', 1, holding({ pieces: 999 }), stockOf(1000), undefined],
  [
    'a piece too many of all products',
    2,
    holding({ pieces: 999 }),
    stockOf(1000),
    { code: 'too-many-pieces-held', most: 1000, held: 999, requested: 2 },
  ],
  ['half of the stock', 50, holding(), stockOf(100), undefined],
  [
    'more than half of the stock',
    51,
    holding(),
    stockOf(100),
    { code: 'too-large-share-held', over: [{ productId: 'tea', most: 50, held: 0, requested: 51 }] },
  ],
  [
    'more than half with what the customer already holds',
    11,
    holding({ ofProduct: new Map([['tea', 40]]) }),
    stockOf(60),
    { code: 'too-large-share-held', over: [{ productId: 'tea', most: 50, held: 40, requested: 11 }] },
  ],
  ['the last few pieces', 10, holding(), stockOf(10), undefined],
])('decides about %s', (_, quantity, held, stock, rejection) => {
  const decision = new Quotas(limits()).forPlacing(anOrderOf(quantity), held, stock);

  expect(decision).toEqual(rejection && { accepted: false, rejection });
});

const aStock = fc.integer({ min: 1, max: 300 });
const someQuantities = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 30 });
const anyLimits = fc.record({
  drafts: fc.constant(1),
  unpaidOrders: fc.integer({ min: 1, max: 10 }),
  heldPieces: fc.integer({ min: 1, max: 300 }),
  heldShare: fc.double({ min: 0, max: 1, noNaN: true }),
  shareAbove: fc.integer({ min: 1, max: 20 }),
});

it('whatever a customer orders, what they hold stays within the limits and something of a larger stock is left', () => {
  fc.assert(
    fc.property(anyLimits, aStock, someQuantities, (most, stock, quantities) => {
      const quotas = new Quotas(most);
      let held = holding();
      for (const quantity of quantities) {
        const items: Line[] = [{ productId: 'tea', quantity }];
        const available = stock - held.pieces;
        if (quantity > available || quotas.forPlacing(anOrderOf(quantity), held, stockOf(available))) continue;
        held = holdingsAfter(held, items);
      }

      expect(held.unpaidOrders).toBeLessThanOrEqual(most.unpaidOrders);
      expect(held.pieces).toBeLessThanOrEqual(most.heldPieces);
      expect(held.ofProduct.get('tea') ?? 0).toBe(held.pieces);
      if (held.pieces > most.shareAbove) expect(held.pieces).toBeLessThanOrEqual(stock * most.heldShare);
    }),
  );
});

it('an order that is rejected would exceed a limit', () => {
  fc.assert(
    fc.property(anyLimits, aStock, aStock, fc.integer({ min: 1, max: 60 }), (most, already, available, quantity) => {
      const held = holding({ unpaidOrders: 1, pieces: already, ofProduct: new Map([['tea', already]]) });
      const decision = new Quotas(most).forPlacing(anOrderOf(quantity), held, stockOf(available));
      const { unpaidOrders, pieces } = holdingsAfter(held, [{ productId: 'tea', quantity }]);
      const share = Math.max(most.shareAbove, Math.floor((already + available) * most.heldShare));

      expect(decision !== undefined).toBe(
        unpaidOrders > most.unpaidOrders || pieces > most.heldPieces || pieces > share,
      );
    }),
  );
});
