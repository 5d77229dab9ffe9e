import { ActionIcon } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';
import { Icon } from './icon.js';
import { useShortcuts } from './use-shortcuts.js';

interface ShortcutsHelpProps {
  /** The keys of the page, and what they do. */
  readonly keys: readonly (readonly [key: string, does: string])[];
}

const ShortcutsDialog = lazy(async () => ({ default: (await import('./shortcuts-dialog.js')).ShortcutsDialog }));

/** A button that lists the keys of a page, and lets people turn them off. */
export function ShortcutsHelp({ keys }: ShortcutsHelpProps) {
  const [isOpen, setIsOpen] = useState(false);
  useShortcuts({ '?': () => setIsOpen(true) });
  return (
    <>
      <ActionIcon variant="default" size="lg" aria-label="Keyboard shortcuts" onClick={() => setIsOpen(true)}>
        <Icon name="keyboard" />
      </ActionIcon>
      <Suspense>
        {isOpen && <ShortcutsDialog keys={[...keys, ['?', 'Show this list']]} onClose={() => setIsOpen(false)} />}
      </Suspense>
    </>
  );
}
