import { Group, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { type PaymentRequest } from '@twinbox/client/payments';
import { useState } from 'react';
import { useClients } from '../shared/clients.js';
import { ConfirmDialog } from '../shared/confirm-dialog.js';
import { Money } from '../shared/money.js';
import { notifyDone } from '../shared/notify.js';
import { SteadyButton } from '../shared/steady-button.js';
import { useShortcuts } from '../shared/use-shortcuts.js';
import { reasonAgainst, type Settlement } from './decision.js';
import { Overtaken, wasOvertaken } from './overtaken.js';
import { paymentsKey } from './queries.js';
import { useOwnDecisions } from './own-decisions.js';

const BUTTONS = [
  { settlement: 'succeed', label: 'Succeed', color: 'pine', key: 's' },
  { settlement: 'fail', label: 'Fail', color: 'red', key: 'f' },
  { settlement: 'refunded', label: 'Refunded', color: 'gray', key: 'r' },
] as const;

/** What an operator may do with a payment. The buttons stay where they are when a colleague is faster, so that the focus is not lost. */
export function SettleButtons({ payment }: { readonly payment: PaymentRequest }) {
  const [asked, setAsked] = useState<Settlement>();
  const ask = (settlement: Settlement) => {
    if (reasonAgainst(settlement, payment) === undefined) setAsked(settlement);
  };
  useShortcuts({ s: () => ask('succeed'), f: () => ask('fail'), r: () => ask('refunded') });
  return (
    <Group gap="xs">
      {BUTTONS.map(({ settlement, label, color, key }) => (
        <SteadyButton
          key={settlement}
          color={color}
          variant={settlement === 'succeed' ? 'filled' : 'light'}
          shortcut={key}
          unavailable={reasonAgainst(settlement, payment)}
          onClick={() => ask(settlement)}
        >
          {label}
        </SteadyButton>
      ))}
      {asked && <SettleDialog payment={payment} settlement={asked} onClose={() => setAsked(undefined)} />}
    </Group>
  );
}

interface SettleDialogProps {
  readonly payment: PaymentRequest;
  readonly settlement: Settlement;
  readonly onClose: () => void;
}

const TEXTS = {
  succeed: {
    title: 'Mark the payment as succeeded?',
    confirm: 'Mark as succeeded',
    done: 'The payment is marked as succeeded.',
    text: 'The order will be completed. This cannot be undone.',
  },
  fail: {
    title: 'Mark the payment as failed?',
    confirm: 'Mark as failed',
    done: 'The payment is marked as failed.',
    text: 'The order will be cancelled. This cannot be undone.',
  },
  refunded: {
    title: 'Mark the payment as refunded?',
    confirm: 'Mark as refunded',
    done: 'The payment is marked as refunded.',
    text: 'Confirm this only if the money was paid back by hand. This cannot be undone.',
  },
} as const;

function SettleDialog({ payment, settlement, onClose }: SettleDialogProps) {
  const { payments } = useClients();
  const queries = useQueryClient();
  const { remember } = useOwnDecisions();
  const { title, confirm, done, text } = TEXTS[settlement];
  // The version that the person saw. Otherwise, another result that came meanwhile would go unnoticed if it is the same.
  const [version] = useState(payment.version);
  const send = async (reason: string, idempotencyKey: string) => {
    const input = { paymentRequestId: payment.id };
    const options = { idempotencyKey, ifMatch: version };
    if (settlement === 'succeed') return payments.markPaymentSucceeded(input, options);
    if (settlement === 'fail') return payments.markPaymentFailed({ ...input, reason }, options);
    return payments.markPaymentRefunded(input, options);
  };
  return (
    <ConfirmDialog
      title={title}
      confirm={confirm}
      isDestructive={settlement === 'fail'}
      {...(settlement === 'fail' && { reason: REASON })}
      send={send}
      isOver={wasOvertaken}
      over={<Overtaken paymentRequestId={payment.id} />}
      onDone={(settled) => {
        remember(settled);
        queries.setQueryData([...paymentsKey, 'one', payment.id], settled);
        void queries.invalidateQueries({ queryKey: paymentsKey });
        notifyDone(done);
      }}
      onClose={onClose}
    >
      <Text>
        <Money amount={payment.amount} currency={payment.currency} /> of {payment.customerId}. {text}
      </Text>
    </ConfirmDialog>
  );
}

const REASON = { label: 'Reason', description: 'The customer sees it.', maxLength: 500 };
