import './styles.js';
import { Alert, Button, Card, Group, Stack, Text } from '@mantine/core';
import { Link, useNavigate } from '@tanstack/react-router';
import { useClients } from '../shared/clients.js';
import { Money } from '../shared/money.js';
import { Page } from '../shared/page.js';
import { Empty } from '../shared/states.js';
import { useChange } from '../shared/use-change.js';
import { type Cart, pieces, totals } from './cart.js';
import { CartLines } from './cart-lines.js';
import { PlaceFailure } from './place-failure.js';
import { useCart } from './use-cart.js';

/** The cart, and the button that places it as an order. */
export function CartPage() {
  const [cart] = useCart();
  return (
    <Page
      title="Cart"
      aside={
        <Button component={Link} to="/shop" variant="default">
          Back to the shop
        </Button>
      }
    >
      {cart.length === 0 ? (
        <Empty title="The cart is empty." icon="shop">
          Add something from the catalogue.
        </Empty>
      ) : (
        <Checkout cart={cart} />
      )}
    </Page>
  );
}

function Checkout({ cart }: { readonly cart: Cart }) {
  const { orders } = useClients();
  const navigate = useNavigate();
  const [, change] = useCart();
  const sums = totals(cart);
  const place = useChange(
    async (lines: Cart, idempotencyKey) =>
      orders.createOrder(
        { items: lines.map(({ productId, quantity, unitPrice }) => ({ productId, quantity, unitPrice })) },
        { idempotencyKey },
      ),
    async ({ id }) => {
      // First, because somebody may close the page while the next one is loaded.
      change(() => []);
      await navigate({ to: '/shop/orders/$id', params: { id } });
    },
  );
  return (
    <Stack maw={760}>
      <CartLines cart={cart} />
      {sums.length > 1 && (
        <Alert color="yellow" title="These products have prices in different currencies.">
          An order has one currency. Remove the products of the other one, and order them separately.
        </Alert>
      )}
      {place.isError && <PlaceFailure error={place.error} cart={cart} onFixed={() => place.reset()} />}
      <Card withBorder bg="var(--twinbox-surface)">
        <Group justify="space-between">
          <Text>
            Total of {pieces(cart)} {pieces(cart) === 1 ? 'piece' : 'pieces'}:{' '}
            {sums.map(({ currency, amount }, n) => (
              <b key={currency}>
                {n > 0 && ' and '}
                <Money amount={amount} currency={currency} />
              </b>
            ))}
          </Text>
          <Button
            size="md"
            disabled={sums.length > 1}
            loading={place.isPending}
            onClick={() => {
              if (!place.isPending) place.mutate(cart);
            }}
          >
            Place the order
          </Button>
        </Group>
      </Card>
    </Stack>
  );
}
