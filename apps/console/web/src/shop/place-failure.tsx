import { Alert, Button, List } from '@mantine/core';
import { isProblem } from '@twinbox/client/orders';
import { Failure } from '../shared/failure.js';
import { Money } from '../shared/money.js';
import { type Cart, repriced, withQuantity } from './cart.js';
import { useCart } from './use-cart.js';

interface PlaceFailureProps {
  readonly error: unknown;
  readonly cart: Cart;
  readonly onFixed: () => void;
}

/** Why an order was not placed. What the customer can correct has a button that does it. */
export function PlaceFailure({ error, cart, onFixed }: PlaceFailureProps) {
  const [, change] = useCart();
  const nameOf = (id: string) => cart.find(({ productId }) => productId === id)?.name ?? id;
  const fix = (next: (cart: Cart) => Cart) => {
    change(next);
    onFixed();
  };
  if (isProblem(error, 'price-changed')) {
    const { changed } = error.document;
    const prices = Object.fromEntries(changed.map(({ productId, actual }) => [productId, actual]));
    return (
      <Correctable
        title="Prices have changed."
        button="Take the new prices"
        onFix={() => fix((before) => repriced(before, prices))}
        items={changed.map(({ productId, expected, actual, currency }) => (
          <List.Item key={productId}>
            {nameOf(productId)}: <Money amount={actual} currency={currency} /> instead of{' '}
            <Money amount={expected} currency={currency} />
          </List.Item>
        ))}
      />
    );
  }
  if (isProblem(error, 'insufficient-stock')) {
    const { short } = error.document;
    return (
      <Correctable
        title="There is not enough of everything."
        button="Take what there is"
        onFix={() =>
          fix((before) =>
            short.reduce((rest, { productId, available }) => withQuantity(rest, productId, available), before),
          )
        }
        items={short.map(({ productId, requested, available }) => (
          <List.Item key={productId}>
            {nameOf(productId)}: {available === 0 ? 'sold out' : `${available} of ${requested}`}
          </List.Item>
        ))}
      />
    );
  }
  return <Failure error={error} title="The order was not placed." />;
}

interface CorrectableProps {
  readonly title: string;
  readonly button: string;
  readonly items: React.ReactNode;
  readonly onFix: () => void;
}

function Correctable({ title, button, items, onFix }: CorrectableProps) {
  return (
    <Alert role="alert" color="yellow" title={title}>
      <List size="sm" mb="xs">
        {items}
      </List>
      <Button size="compact-sm" variant="default" onClick={onFix}>
        {button}
      </Button>
    </Alert>
  );
}
