import fc from 'fast-check';
import { aProduct, later } from '../../test/order.fixtures.js';
import { Catalogue, putProduct } from './product.js';

const facts = { productId: 'tea', name: 'Green tea', price: 500, currency: 'USD', stock: 12 };

describe('putting a product', () => {
  it('adds a new one with its whole stock available', () => {
    expect(putProduct(undefined, facts, 0, later)).toMatchObject({
      state: { id: 'tea', name: 'Green tea', price: 500, currency: 'USD', available: 12, version: 1, updatedAt: later },
    });
  });

  it('changes one and keeps what orders have reserved', () => {
    expect(putProduct(aProduct({ version: 4 }), facts, 5, later)).toMatchObject({
      state: { available: 7, version: 5 },
    });
  });

  it('keeps a price in a withdrawn currency, but sets no new price in it', () => {
    const known = aProduct({ price: 500, currency: 'ANG' });
    const put = (changes: object) => putProduct(known, { ...facts, currency: 'ANG', ...changes }, 0, later);

    expect(put({ name: 'Black tea', stock: 1 })).toMatchObject({ state: { name: 'Black tea', currency: 'ANG' } });
    for (const changes of [{ price: 501 }, { currency: 'ZWL' }])
      expect(put(changes)).toMatchObject({ rejection: { code: 'currency-not-current', productId: 'tea' } });
    expect(putProduct(undefined, { ...facts, currency: 'ANG' }, 0, later)).toMatchObject({
      rejection: { code: 'currency-not-current', productId: 'tea', currency: 'ANG' },
    });
  });

  it('may leave no piece available, but never fewer', () => {
    expect(putProduct(aProduct(), facts, 12, later)).toMatchObject({ state: { available: 0 } });
    expect(putProduct(aProduct(), facts, 13, later)).toMatchObject({
      rejection: { code: 'stock-reserved', productId: 'tea', stock: 12, reserved: 13 },
    });
  });
});

it('a catalogue has fewer pieces after some were taken, and stays as it was itself', () => {
  const catalogue = new Catalogue([aProduct({ id: 'tea', available: 5 }), aProduct({ id: 'mug', available: 2 })]);

  const less = catalogue.less([
    { productId: 'tea', quantity: 3 },
    { productId: 'unknown', quantity: 1 },
  ]);

  expect(less.product('tea')?.available).toBe(2);
  expect(less.product('mug')?.available).toBe(2);
  expect(catalogue.product('tea')?.available).toBe(5);
  expect(less.has([{ productId: 'tea' }, { productId: 'mug' }])).toBe(true);
  expect(less.has([{ productId: 'tea' }, { productId: 'unknown' }])).toBe(false);
});

it('a product is short if more is requested than available', () => {
  const count = fc.integer({ min: 0, max: 20 });

  fc.assert(
    fc.property(count, count, (available, quantity) => {
      const short = new Catalogue([aProduct({ available })]).shortages([{ productId: 'tea', quantity }]);

      expect(short).toEqual(quantity > available ? [{ productId: 'tea', requested: quantity, available }] : []);
    }),
  );
});
