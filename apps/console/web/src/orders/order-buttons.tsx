import { Group, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { isProblem, type Order } from '@twinbox/client/orders';
import { useState } from 'react';
import { useClients } from '../shared/clients.js';
import { ConfirmDialog } from '../shared/confirm-dialog.js';
import { Money } from '../shared/money.js';
import { notifyDone } from '../shared/notify.js';
import { SteadyButton } from '../shared/steady-button.js';
import { useShortcuts } from '../shared/use-shortcuts.js';
import { ordersKey } from './queries.js';

type Action = 'cancel' | 'finish';

/** Whether an order can be cancelled or finished. Otherwise, why not. */
function reasonAgainst(action: Action, { status }: Order): string | undefined {
  if (action === 'finish') return status === 'COMPLETED' ? undefined : 'Only a paid order can be finished.';
  const isOpen = status === 'DRAFT' || status === 'PLACED' || status === 'PAYMENT_PENDING';
  return isOpen ? undefined : 'Only an order that is not paid yet can be cancelled.';
}

/** What an operator may do with an order. The buttons stay where they are, so that a live update does not take the focus away. */
export function OrderButtons({ order }: { readonly order: Order }) {
  const [asked, setAsked] = useState<Action>();
  const ask = (action: Action) => {
    if (reasonAgainst(action, order) === undefined) setAsked(action);
  };
  useShortcuts({ c: () => ask('cancel'), f: () => ask('finish') });
  return (
    <Group gap="xs">
      <SteadyButton shortcut="f" unavailable={reasonAgainst('finish', order)} onClick={() => ask('finish')}>
        Finish
      </SteadyButton>
      <SteadyButton
        color="red"
        variant="light"
        shortcut="c"
        unavailable={reasonAgainst('cancel', order)}
        onClick={() => ask('cancel')}
      >
        Cancel the order
      </SteadyButton>
      {asked && <OrderDialog order={order} action={asked} onClose={() => setAsked(undefined)} />}
    </Group>
  );
}

interface OrderDialogProps {
  readonly order: Order;
  readonly action: Action;
  readonly onClose: () => void;
}

const TEXTS = {
  cancel: {
    title: 'Cancel the order?',
    confirm: 'Cancel the order',
    done: 'The order is cancelled.',
    text: 'Its stock is released, and money that arrives later is refunded. This cannot be undone.',
  },
  finish: {
    title: 'Finish the order?',
    confirm: 'Finish the order',
    done: 'The order is finished.',
    text: 'Finish it once the customer has everything. This cannot be undone.',
  },
} as const;

const REASON = { label: 'Reason', description: 'The customer sees it.', maxLength: 500 };

function OrderDialog({ order, action, onClose }: OrderDialogProps) {
  const { orders } = useClients();
  const queries = useQueryClient();
  const [version] = useState(order.version);
  const { title, confirm, done, text } = TEXTS[action];
  const send = async (reason: string, idempotencyKey: string) => {
    const options = { idempotencyKey, ifMatch: version };
    return action === 'cancel'
      ? orders.cancelOrder({ orderId: order.id, reason }, options)
      : orders.markOrderFinished({ orderId: order.id }, options);
  };
  return (
    <ConfirmDialog
      title={title}
      confirm={confirm}
      isDestructive={action === 'cancel'}
      {...(action === 'cancel' && { reason: REASON })}
      send={send}
      isOver={(error) => isProblem(error, 'version-conflict')}
      over={<Text role="alert">The order has changed meanwhile. Go back and look at it again.</Text>}
      onDone={(changed) => {
        queries.setQueryData([...ordersKey, 'one', order.id], changed);
        void queries.invalidateQueries({ queryKey: ordersKey });
        notifyDone(done);
      }}
      onClose={onClose}
    >
      <Text>
        <Money amount={order.total} currency={order.currency} /> of {order.customerId}. {text}
      </Text>
    </ConfirmDialog>
  );
}
