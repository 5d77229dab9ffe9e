import { useCallback, useSyncExternalStore } from 'react';
import { useSession } from '../shell/session.js';
import { type Cart, cartFrom } from './cart.js';

/** Carts by the key of their storage, so that an unchanged one is the same array. */
const carts = new Map<string, { readonly text: string | null; readonly cart: Cart }>();
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  addEventListener('storage', listener);
  return () => {
    listeners.delete(listener);
    removeEventListener('storage', listener);
  };
}

function read(key: string): Cart {
  const text = localStorage.getItem(key);
  const known = carts.get(key);
  if (known?.text === text) return known.cart;
  const cart = cartFrom(text);
  carts.set(key, { text, cart });
  return cart;
}

/** The cart of the signed-in customer. It survives reloads, and other tabs see it too. */
export function useCart(): readonly [cart: Cart, change: (next: (cart: Cart) => Cart) => void] {
  const { user } = useSession();
  const key = `twinbox.cart.${user.id}`;
  const cart = useSyncExternalStore(subscribe, () => read(key));
  const change = useCallback(
    (next: (cart: Cart) => Cart) => {
      localStorage.setItem(key, JSON.stringify(next(read(key))));
      for (const listener of listeners) listener();
    },
    [key],
  );
  return [cart, change];
}
