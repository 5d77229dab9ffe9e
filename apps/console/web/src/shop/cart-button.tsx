import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Icon } from '../shared/icon.js';
import { pieces } from './cart.js';
import { useCart } from './use-cart.js';

/** Leads to the cart, and says how much is in it. */
export function CartButton() {
  const [cart] = useCart();
  const count = pieces(cart);
  return (
    <Button
      component={Link}
      to="/shop/cart"
      variant={count > 0 ? 'filled' : 'default'}
      leftSection={<Icon name="shop" />}
    >
      <span aria-live="polite">
        Cart: {count} {count === 1 ? 'piece' : 'pieces'}
      </span>
    </Button>
  );
}
