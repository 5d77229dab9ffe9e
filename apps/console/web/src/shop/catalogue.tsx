import { Button, Card, Group, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { type Product } from '@twinbox/client/orders';
import { useClients } from '../shared/clients.js';
import { Failure } from '../shared/failure.js';
import { Money } from '../shared/money.js';
import { Empty, Loading } from '../shared/states.js';
import { added } from './cart.js';
import classes from './catalogue.module.css';
import { ProductPicture } from './product-picture.js';
import { productsQuery } from './queries.js';
import { useCart } from './use-cart.js';

/** The products that match the search. */
export function Catalogue({ q }: { readonly q: string }) {
  const { orders } = useClients();
  const { data, error, isPending, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = useInfiniteQuery(
    productsQuery(orders, q),
  );
  if (isPending) return <Loading what="Loading the catalogue" />;
  if (!data) return <Failure error={error} onRetry={refetch} />;
  const products = data.pages.flatMap(({ items }) => items);
  if (products.length === 0)
    return <Empty title={`Nothing matches “${q}”.`}>Try fewer letters, or another word.</Empty>;
  return (
    <>
      <ul className={classes['grid']} aria-label="Products">
        {products.map((product) => (
          <li key={product.id}>
            <ProductCard product={product} />
          </li>
        ))}
      </ul>
      {error && <Failure error={error} onRetry={refetch} />}
      {hasNextPage && (
        <Group justify="center" mt="md">
          <Button variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            More products
          </Button>
        </Group>
      )}
    </>
  );
}

function ProductCard({ product }: { readonly product: Product }) {
  const [cart, change] = useCart();
  const { id, name, price, currency, available } = product;
  const inCart = cart.find(({ productId }) => productId === id)?.quantity ?? 0;
  const isSoldOut = available === 0;
  return (
    <Card withBorder padding="sm" bg="var(--twinbox-surface)" className={classes['card'] ?? ''}>
      <div className={`${classes['picture']} ${isSoldOut ? classes['sold-out'] : ''}`} aria-hidden="true">
        <ProductPicture id={id} />
      </div>
      <Text fw={600}>{name}</Text>
      <Text size="xs" c="dimmed" mb="xs">
        {stockText(available)}
      </Text>
      <Group justify="space-between" mt="auto" wrap="nowrap">
        <Text fw={650}>
          <Money amount={price} currency={currency} />
        </Text>
        <Button
          size="compact-sm"
          variant={inCart > 0 ? 'light' : 'filled'}
          disabled={isSoldOut || inCart >= available}
          aria-label={`Add ${name} to the cart${inCart > 0 ? `, ${inCart} in it` : ''}`}
          onClick={() => change((before) => added(before, product))}
        >
          {inCart > 0 ? `Add (${inCart})` : 'Add'}
        </Button>
      </Group>
    </Card>
  );
}

/** Below this number it may be gone soon. */
const SCARCE = 10;

function stockText(available: number): string {
  if (available === 0) return 'Sold out';
  return available < SCARCE ? `Only ${available} left` : 'In stock';
}
