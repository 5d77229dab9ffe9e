import { Button, Group, Text } from '@mantine/core';
import { useState } from 'react';
import { ConfirmDialog } from '../../shared/confirm-dialog.js';
import { EditDialog } from '../edit/edit-dialog.js';
import { REASON } from '../reason.js';
import { useIsAdmin } from '../service.js';

/** What an admin can do with one dead letter or job. */
export interface ItemCalls {
  readonly retry: (idempotencyKey: string) => Promise<unknown>;
  readonly discard: (reason: string, idempotencyKey: string) => Promise<unknown>;
  readonly edit: (content: string, reason: string, idempotencyKey: string) => Promise<unknown>;
}

interface ItemActionsProps {
  /** Such as `dead letter`. */
  readonly noun: string;
  /** The content that can be edited; null if it is not text. */
  readonly content: string | null;
  readonly calls: ItemCalls;
  /** What happens on a retry and on a discard, in a sentence each. */
  readonly effects: { readonly retry: string; readonly discard: string };
  readonly onDone: (what: string) => void;
}

type Action = 'retry' | 'edit' | 'discard';

/** The buttons of one item, and the questions before each takes effect. */
export function ItemActions({ noun, content, calls, effects, onDone }: ItemActionsProps) {
  const [action, setAction] = useState<Action>();
  const close = () => setAction(undefined);
  if (!useIsAdmin()) return null;
  return (
    <Group gap="xs">
      <Button onClick={() => setAction('retry')}>Retry</Button>
      <Button variant="default" onClick={() => setAction('edit')}>
        Edit and retry
      </Button>
      <Button variant="outline" color="red" onClick={() => setAction('discard')}>
        Discard
      </Button>
      {action === 'edit' && (
        <EditDialog
          noun={noun}
          content={content ?? ''}
          send={calls.edit}
          onDone={() => onDone(`The ${noun} is changed, and retried now.`)}
          onClose={close}
        />
      )}
      {action === 'retry' && (
        <ConfirmDialog
          title={`Retry this ${noun}?`}
          confirm="Retry"
          send={async (_, key) => calls.retry(key)}
          onDone={() => onDone(`The ${noun} is retried now.`)}
          onClose={close}
        >
          <Text size="sm">{effects.retry}</Text>
        </ConfirmDialog>
      )}
      {action === 'discard' && (
        <ConfirmDialog
          title={`Discard this ${noun} for good?`}
          confirm="Discard"
          isDestructive
          reason={REASON}
          send={calls.discard}
          onDone={() => onDone(`The ${noun} is discarded.`)}
          onClose={close}
        >
          <Text size="sm">{effects.discard}</Text>
        </ConfirmDialog>
      )}
    </Group>
  );
}
