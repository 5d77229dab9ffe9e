import { Button, NumberInput, Table, Text } from '@mantine/core';
import { Money } from '../shared/money.js';
import { type Cart, type CartLine, withQuantity } from './cart.js';
import { useCart } from './use-cart.js';

/** The lines of the cart, with their quantities to change. */
export function CartLines({ cart }: { readonly cart: Cart }) {
  return (
    <Table.ScrollContainer minWidth={460}>
      <Table verticalSpacing="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Product</Table.Th>
            <Table.Th scope="col">Quantity</Table.Th>
            <Table.Th scope="col" ta="right">
              Price
            </Table.Th>
            <Table.Th scope="col">Action</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {cart.map((line) => (
            <Line key={line.productId} line={line} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Line({ line: { productId, name, quantity, unitPrice, currency } }: { readonly line: CartLine }) {
  const [, change] = useCart();
  return (
    <Table.Tr>
      <Table.Th scope="row">
        {name}
        <Text size="xs" c="dimmed">
          <Money amount={unitPrice} currency={currency} /> each
        </Text>
      </Table.Th>
      <Table.Td>
        <NumberInput
          aria-label={`Quantity of ${name}`}
          w={90}
          min={1}
          max={1_000_000}
          allowDecimal={false}
          allowNegative={false}
          value={quantity}
          onChange={(value) => {
            if (typeof value === 'number' && value > 0) change((cart) => withQuantity(cart, productId, value));
          }}
        />
      </Table.Td>
      <Table.Td ta="right">
        <Money amount={quantity * unitPrice} currency={currency} />
      </Table.Td>
      <Table.Td>
        <Button
          size="compact-sm"
          variant="subtle"
          color="red"
          aria-label={`Remove ${name}`}
          onClick={() => change((cart) => withQuantity(cart, productId, 0))}
        >
          Remove
        </Button>
      </Table.Td>
    </Table.Tr>
  );
}
