import { Group, Stack, Text } from '@mantine/core';
import { type Order } from '@twinbox/client/orders';
import { Money } from '../shared/money.js';

/** The items of an order, with what each of them costs. */
export function Items({
  order: { items, total, currency },
}: {
  readonly order: Pick<Order, 'items' | 'total' | 'currency'>;
}) {
  return (
    <Stack gap={6}>
      {items.map(({ productId, name, quantity, unitPrice }) => (
        <Group key={productId} justify="space-between" wrap="nowrap">
          <Text size="sm">
            {quantity} × {name}
          </Text>
          <Text size="sm">
            <Money amount={quantity * unitPrice} currency={currency} />
          </Text>
        </Group>
      ))}
      <Group justify="space-between">
        <Text size="sm" fw={600}>
          Total
        </Text>
        <Text size="sm" fw={600}>
          <Money amount={total} currency={currency} />
        </Text>
      </Group>
    </Stack>
  );
}
