import { Button, Group } from '@mantine/core';
import { useState } from 'react';
import { useIsAdmin } from '../service.js';
import { type BulkAction, nounOf, operationFilter, type PageFilter, type Subject } from './bulk.js';
import { BulkDialog } from './bulk-dialog.js';

/** Starts an operation on everything that the page's filter matches. */
export function BulkBar({ subject, filter }: { readonly subject: Subject; readonly filter: PageFilter }) {
  const [action, setAction] = useState<BulkAction>();
  if (!useIsAdmin()) return null;
  const all = operationFilter(filter).all ? 'all' : 'these';
  const close = () => setAction(undefined);
  return (
    <Group gap="xs">
      <Button size="compact-sm" variant="light" onClick={() => setAction('retry')}>
        Retry {all} {nounOf(subject)}s …
      </Button>
      <Button size="compact-sm" variant="subtle" color="red" onClick={() => setAction('discard')}>
        Discard {all} …
      </Button>
      {action && <BulkDialog subject={subject} action={action} filter={filter} onClose={close} />}
    </Group>
  );
}
