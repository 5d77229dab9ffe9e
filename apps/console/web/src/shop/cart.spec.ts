import { type Product } from '@twinbox/client/orders';
import { added, cartFrom, pieces, repriced, totals, withQuantity } from './cart.js';

const aProduct = (values: Partial<Product> = {}): Product => ({
  id: 'tea',
  name: 'Tea',
  price: 450,
  currency: 'EUR',
  available: 5,
  version: 1,
  updatedAt: '2026-12-01T08:00:00Z',
  ...values,
});

const TEA = added([], aProduct());

describe('the cart', () => {
  it('has one line for a product that is added twice', () => {
    expect(added(TEA, aProduct(), 2)).toEqual([
      { productId: 'tea', name: 'Tea', quantity: 3, unitPrice: 450, currency: 'EUR' },
    ]);
  });

  it('takes the price that is shown when a product is added again', () => {
    expect(added(TEA, aProduct({ price: 500 }))).toMatchObject([{ quantity: 2, unitPrice: 500 }]);
  });

  it('loses a line whose quantity becomes zero', () => {
    expect(withQuantity(TEA, 'tea', 0)).toEqual([]);
    expect(withQuantity(TEA, 'tea', 7)).toMatchObject([{ quantity: 7 }]);
  });

  it('has a total for each currency', () => {
    const cart = added(added(TEA, aProduct(), 1), aProduct({ id: 'book', price: 1899, currency: 'USD' }));

    expect(totals(cart)).toEqual([
      { currency: 'EUR', amount: 900 },
      { currency: 'USD', amount: 1899 },
    ]);
    expect(pieces(cart)).toBe(3);
  });

  it('takes over the current prices and keeps the others', () => {
    const cart = added(TEA, aProduct({ id: 'mug', price: 1800 }));

    expect(repriced(cart, { tea: 480 }).map(({ unitPrice }) => unitPrice)).toEqual([480, 1800]);
  });

  it('survives a reload', () => {
    expect(cartFrom(JSON.stringify(TEA))).toEqual(TEA);
  });

  it.each([[null], ['{'], ['{"tea":1}'], ['[{"productId":"tea","quantity":-1}]'], ['[null, 3]']])(
    'is empty after %s was stored',
    (text) => {
      expect(cartFrom(text)).toEqual([]);
    },
  );
});
