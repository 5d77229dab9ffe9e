import fc from 'fast-check';
import { addItems, changeItem, MAX_PIECES, openDraft, placeAtOnce, placeDraft, removeItem } from './cart.js';
import { cancelOrder, type Order, type OrderDecision } from './order.js';
import {
  accepted,
  aDraft,
  aNewOrder,
  aPlacedOrder,
  aProduct,
  at,
  book,
  catalogue,
  later,
  mug,
  tea,
} from '../../test/order.fixtures.js';
import { Catalogue } from './product.js';

const line = (productId: string, quantity: number, unitPrice?: number) => ({ productId, quantity, unitPrice });
const pricierTea = new Catalogue([aProduct({ price: 500 }), mug, book]);
const eachProduct = (count: number) => Array.from({ length: count }, (_, n) => aProduct({ id: `p${n}` }));

describe('opening a draft', () => {
  it('may be empty and without a currency', () => {
    const decision = openDraft(aNewOrder({ lines: [] }), catalogue, at);

    expect(decision).toMatchObject({
      state: { status: 'DRAFT', items: [], total: 0, currency: null, version: 1, createdAt: at, dueAt: null },
      steps: [{ event: { type: 'OrderOpened' } }],
    });
  });

  it('records one step per product', () => {
    const lines = [line('tea', 2), line('mug', 1), line('tea', 3)];

    const decision = openDraft(aNewOrder({ lines }), catalogue, at);

    expect(decision).toMatchObject({
      state: { status: 'DRAFT', total: 4050, currency: 'EUR', version: 3 },
      steps: [
        { event: { type: 'OrderOpened' } },
        { event: { type: 'ItemAdded', data: { productId: 'tea', quantity: 5, unitPrice: 450 } } },
        { event: { type: 'ItemAdded', data: { productId: 'mug', quantity: 1, unitPrice: 1800 } } },
      ],
    });
  });

  it('needs no stock', () => {
    const decision = openDraft(aNewOrder(), new Catalogue([aProduct({ available: 0 })]), at);

    expect(decision).toMatchObject({ accepted: true });
  });
});

describe('adding an item', () => {
  it('merges lines for the same product at the current price', () => {
    const decision = addItems(aDraft(), [line('tea', 3)], pricierTea, later);

    expect(decision).toMatchObject({
      state: { items: [{ productId: 'tea', quantity: 5, unitPrice: 500 }], total: 2500, version: 3, updatedAt: later },
      steps: [{ event: { type: 'ItemAdded', data: { productId: 'tea', quantity: 3, unitPrice: 500 } } }],
    });
  });

  it('keeps the prices of the other items in the cart', () => {
    const decision = addItems(aDraft(), [line('mug', 1)], pricierTea, later);

    expect(decision).toMatchObject({
      state: {
        items: [
          { productId: 'tea', quantity: 2, unitPrice: 450 },
          { productId: 'mug', quantity: 1, unitPrice: 1800 },
        ],
        total: 2700,
      },
    });
  });

  it('gives an empty cart the currency of its first item', () => {
    const decision = addItems(aDraft({ lines: [] }), [line('book', 1)], catalogue, later);

    expect(decision).toMatchObject({ state: { currency: 'USD' } });
  });

  it('changes the currency if it reprices all items, but not if others keep their price', () => {
    const inDollars = new Catalogue([aProduct({ currency: 'USD', price: 500 }), mug]);

    expect(addItems(aDraft(), [line('tea', 1)], inDollars, later)).toMatchObject({
      state: { currency: 'USD', total: 1500, items: [{ quantity: 3, unitPrice: 500 }] },
    });
    expect(changeItem(aDraft(), line('tea', 5), inDollars, later)).toMatchObject({ state: { currency: 'USD' } });
    const withMug = aDraft({ lines: [line('tea', 1), line('mug', 1)] });
    expect(addItems(withMug, [line('tea', 1)], inDollars, later)).toMatchObject({
      rejection: { code: 'mixed-currencies', currencies: ['EUR', 'USD'] },
    });
  });

  it.each([
    ['an unknown product', [line('unicorn', 1)], { code: 'product-unknown', productIds: ['unicorn'] }],
    ['another currency', [line('book', 1)], { code: 'mixed-currencies', currencies: ['EUR', 'USD'] }],
    [
      'a price that the client does not expect',
      [line('tea', 1, 400)],
      { code: 'price-changed', changed: [{ productId: 'tea', expected: 400, actual: 450, currency: 'EUR' }] },
    ],
    [
      'too many pieces',
      [line('tea', MAX_PIECES - 1)],
      { code: 'quantity-too-large', productId: 'tea', most: MAX_PIECES },
    ],
  ])('rejects %s', (_, lines, rejection) => {
    expect(addItems(aDraft(), lines, catalogue, later)).toMatchObject({ accepted: false, rejection });
  });

  it('accepts the maximum number of pieces', () => {
    const decision = addItems(aDraft(), [line('tea', MAX_PIECES - 2, 450)], catalogue, later);

    expect(decision).toMatchObject({ state: { items: [{ quantity: MAX_PIECES }] } });
  });

  it('accepts the hundredth product and rejects the next', () => {
    const products = new Catalogue(eachProduct(101));
    const hundred = Array.from({ length: 100 }, (_, n) => line(`p${n}`, 1));
    const draft = accepted(openDraft(aNewOrder({ lines: hundred }), products, at));

    const more = addItems(draft, [line('p99', 1)], products, later);
    const another = addItems(draft, [line('p100', 1)], products, later);

    expect(more).toMatchObject({ accepted: true });
    expect(another).toMatchObject({ rejection: { code: 'too-many-products', most: 100 } });
  });
});

describe('changing an item', () => {
  it('to more pieces adds the difference at the current price', () => {
    const decision = changeItem(aDraft(), line('tea', 6), pricierTea, later);

    expect(decision).toMatchObject({
      state: { items: [{ quantity: 6, unitPrice: 500 }], total: 3000 },
      steps: [{ event: { type: 'ItemAdded', data: { productId: 'tea', quantity: 4 } } }],
    });
  });

  it('to fewer pieces removes the difference and keeps the price', () => {
    const decision = changeItem(aDraft(), line('tea', 1), pricierTea, later);

    expect(decision).toMatchObject({
      state: { items: [{ quantity: 1, unitPrice: 450 }], total: 450 },
      steps: [{ event: { type: 'ItemRemoved', data: { productId: 'tea', quantity: 1 } } }],
    });
  });

  it('to the same quantity changes nothing', () => {
    const draft = aDraft();

    expect(changeItem(draft, line('tea', 2, 450), catalogue, later)).toEqual({
      accepted: true,
      state: draft,
      steps: [],
    });
  });

  it.each([
    ['that is not in the cart', line('mug', 1), { code: 'item-not-found', productId: 'mug' }],
    ['at a wrong price', line('tea', 1, 1), { code: 'price-changed' }],
    ['to too many pieces', line('tea', MAX_PIECES + 1), { code: 'quantity-too-large' }],
  ])('%s is rejected', (_, wanted, rejection) => {
    expect(changeItem(aDraft(), wanted, catalogue, later)).toMatchObject({ accepted: false, rejection });
  });
});

describe('removing an item', () => {
  it('takes all pieces of it', () => {
    const draft = aDraft({ lines: [line('tea', 2), line('mug', 1)] });

    const decision = removeItem(draft, 'tea', later);

    expect(decision).toMatchObject({
      state: { items: [{ productId: 'mug' }], total: 1800, currency: 'EUR' },
      steps: [{ event: { type: 'ItemRemoved', data: { productId: 'tea', quantity: 2 } } }],
    });
  });

  it('leaves an empty cart without a currency, so that it can take another', () => {
    const empty = accepted(removeItem(aDraft(), 'tea', later));

    expect(empty).toMatchObject({ items: [], total: 0, currency: null });
    expect(addItems(empty, [line('book', 1)], catalogue, later)).toMatchObject({ state: { currency: 'USD' } });
  });

  it('that is not in the cart is rejected', () => {
    expect(removeItem(aDraft(), 'mug', later)).toMatchObject({ rejection: { code: 'item-not-found' } });
  });
});

describe('placing a draft', () => {
  it("takes the catalogue's current prices and raises the event with the total", () => {
    const decision = placeDraft(aDraft(), [], pricierTea, later);

    expect(decision).toMatchObject({
      state: { status: 'PLACED', items: [{ unitPrice: 500 }], total: 1000, dueAt: later, createdAt: at, version: 3 },
      steps: [
        {
          event: {
            type: 'OrderPlaced',
            data: { customerId: 'ada', total: 1000, currency: 'EUR', items: [{ productId: 'tea', unitPrice: 500 }] },
          },
        },
      ],
    });
  });

  it.each<[string, Order, { productId: string; unitPrice: number }[], Catalogue, object]>([
    ['nothing in it', aDraft({ lines: [] }), [], catalogue, { code: 'order-empty' }],
    [
      'too little in stock',
      aDraft(),
      [],
      new Catalogue([aProduct({ available: 1 })]),
      { code: 'insufficient-stock', short: [{ productId: 'tea', requested: 2, available: 1 }] },
    ],
    [
      'a price that the client does not expect',
      aDraft(),
      [{ productId: 'tea', unitPrice: 450 }],
      pricierTea,
      { code: 'price-changed', changed: [{ productId: 'tea', expected: 450, actual: 500, currency: 'EUR' }] },
    ],
    [
      'a price of a product that is not in it',
      aDraft(),
      [{ productId: 'mug', unitPrice: 1 }],
      catalogue,
      { code: 'item-not-found' },
    ],
    [
      'products that now have two currencies',
      aDraft({ lines: [line('tea', 1), line('mug', 1)] }),
      [],
      new Catalogue([tea, { ...mug, currency: 'USD' }]),
      { code: 'mixed-currencies', currencies: ['EUR', 'USD'] },
    ],
  ])('is rejected with %s', (_, draft, expected, products, rejection) => {
    expect(placeDraft(draft, expected, products, later)).toMatchObject({ accepted: false, rejection });
  });
});

describe('placing at once', () => {
  it('takes the prices from the catalogue and raises the event with the items and the total', () => {
    const decision = placeAtOnce(aNewOrder(), catalogue, at);

    expect(decision).toEqual({
      accepted: true,
      state: expect.objectContaining({
        status: 'PLACED',
        items: [{ productId: 'tea', name: 'Tea', quantity: 2, unitPrice: 450 }],
        total: 900,
        currency: 'EUR',
        version: 1,
        createdAt: at,
        dueAt: at,
      }),
      steps: [
        {
          event: {
            type: 'OrderPlaced',
            data: {
              orderId: aNewOrder().orderId,
              customerId: 'ada',
              total: 900,
              currency: 'EUR',
              items: [{ productId: 'tea', name: 'Tea', quantity: 2, unitPrice: 450 }],
            },
          },
          state: expect.objectContaining({ status: 'PLACED', version: 1 }),
        },
      ],
    });
  });

  it.each([
    ['no items', { lines: [] }, { code: 'order-empty' }],
    [
      'unknown products',
      { lines: [line('tea', 1), line('unicorn', 1)] },
      { code: 'product-unknown', productIds: ['unicorn'] },
    ],
    [
      'two currencies',
      { lines: [line('tea', 1), line('book', 1)] },
      { code: 'mixed-currencies', currencies: ['EUR', 'USD'] },
    ],
    ['a price that the client does not expect', { lines: [line('tea', 1, 449)] }, { code: 'price-changed' }],
    ['too many pieces', { lines: [line('tea', MAX_PIECES), line('tea', 1)] }, { code: 'quantity-too-large' }],
  ])('is rejected with %s', (_, fields, rejection) => {
    expect(placeAtOnce(aNewOrder(fields), catalogue, at)).toMatchObject({ accepted: false, rejection });
  });

  it('is rejected with a total that is not a safe integer', () => {
    const products = new Catalogue([aProduct({ price: Number.MAX_SAFE_INTEGER })]);

    expect(placeAtOnce(aNewOrder(), products, at)).toMatchObject({ rejection: { code: 'order-total-too-large' } });
  });

  it('names every product with too little stock', () => {
    const products = new Catalogue([aProduct({ available: 0 }), { ...mug, available: 1 }]);
    const lines = [line('tea', 1), line('mug', 2), line('mug', 1)];

    expect(placeAtOnce(aNewOrder({ lines }), products, at)).toMatchObject({
      rejection: {
        short: [
          { productId: 'tea', requested: 1, available: 0 },
          { productId: 'mug', requested: 3, available: 1 },
        ],
      },
    });
  });
});

describe('an order that is not a draft', () => {
  const placed = aPlacedOrder();
  const discarded = accepted(cancelOrder(aDraft(), 'changed my mind', 'customer:ada', later));
  const edits: [string, (order: Order) => OrderDecision][] = [
    ['takes no item', (order) => addItems(order, [line('tea', 1)], catalogue, later)],
    ['changes no item', (order) => changeItem(order, line('tea', 1), catalogue, later)],
    ['loses no item', (order) => removeItem(order, 'tea', later)],
    ['is not placed', (order) => placeDraft(order, [], catalogue, later)],
  ];

  it.each(edits)('%s', (_, edit) => {
    for (const order of [placed, discarded])
      expect(edit(order)).toMatchObject({ rejection: { code: 'order-wrong-status', actual: order.status } });
  });
});

it('a cart never loses or invents a cent, whatever is done to it', () => {
  const productId = fc.constantFrom('tea', 'mug', 'book');
  const quantity = fc.integer({ min: 1, max: 10_000 });
  const edit = fc.oneof(
    fc.record({ type: fc.constant('add' as const), productId, quantity }),
    fc.record({ type: fc.constant('change' as const), productId, quantity }),
    fc.record({ type: fc.constant('remove' as const), productId, quantity }),
  );

  fc.assert(
    fc.property(fc.array(edit, { maxLength: 30 }), (edits) => {
      let order = aDraft({ lines: [] });
      const held = new Map<string, number>();
      for (const { type, productId, quantity } of edits) {
        const had = held.get(productId) ?? 0;
        const decision =
          type === 'add'
            ? addItems(order, [{ productId, quantity }], catalogue, later)
            : type === 'change'
              ? changeItem(order, { productId, quantity }, catalogue, later)
              : removeItem(order, productId, later);
        if (!decision.accepted) continue;
        expect(decision.state.version).toBe(order.version + decision.steps.length);
        order = decision.state;
        held.set(productId, type === 'add' ? had + quantity : type === 'change' ? quantity : 0);
      }

      const kept = [...held].filter(([, pieces]) => pieces > 0);
      const total = kept.reduce((sum, [id, pieces]) => sum + pieces * (catalogue.product(id)?.price ?? 0), 0);
      expect(order.total).toBe(total);
      expect(Object.fromEntries(order.items.map((item) => [item.productId, item.quantity]))).toEqual(
        Object.fromEntries(kept),
      );
      expect(order.currency === null).toBe(kept.length === 0);
      expect(placeDraft(order, [], catalogue, later)).toMatchObject(
        kept.length === 0
          ? { rejection: { code: 'order-empty' } }
          : { state: { status: 'PLACED', total }, steps: [{ event: { data: { total } } }] },
      );
    }),
  );
});

it('placing at once has the outcome of opening a draft and placing it', () => {
  const outcomeOf = (decision: OrderDecision) => {
    if (!decision.accepted) return decision.rejection;
    const { items, total, currency, status, dueAt } = decision.state;
    return { items, total, currency, status, dueAt, events: decision.steps.map(({ event }) => event) };
  };
  const product = (id: string) =>
    fc.record({
      id: fc.constant(id),
      price: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(450, 1800) }, fc.maxSafeNat()),
      currency: fc.constantFrom('EUR', 'EUR', 'EUR', 'USD'),
      available: fc.oneof(fc.constant(MAX_PIECES), fc.nat(20)),
    });
  const wanted = fc.record({
    productId: fc.oneof({ weight: 15, arbitrary: fc.constantFrom('tea', 'mug') }, fc.constant('unicorn')),
    quantity: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 12 }) }, fc.constant(MAX_PIECES)),
    unitPrice: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, fc.constantFrom(450, 1800)),
  });

  fc.assert(
    fc.property(fc.array(wanted, { maxLength: 4 }), product('tea'), product('mug'), (lines, ...products) => {
      const catalogue = new Catalogue(products.map(aProduct));
      const order = aNewOrder({ lines });

      const opened = openDraft(order, catalogue, at);
      const twoSteps = opened.accepted ? placeDraft(opened.state, [], catalogue, at) : opened;

      expect(outcomeOf(placeAtOnce(order, catalogue, at))).toEqual(outcomeOf(twoSteps));
    }),
    { numRuns: 500 },
  );
});
