import { useLocalStorage } from '@mantine/hooks';
import { useEffect, useRef } from 'react';

/** Keys and what they do on this page. */
export type Shortcuts = Readonly<Record<string, () => unknown>>;

/** Whether single keys do something. Some people press them unintentionally (WCAG 2.2, 2.1.4), so they can be turned off. */
export function useShortcutsSetting() {
  return useLocalStorage({ key: 'twinbox-shortcuts', defaultValue: true, getInitialValueInEffect: false });
}

/** Runs what a key stands for, unless it is typed into a field or a dialog is open. */
export function useShortcuts(shortcuts: Shortcuts): void {
  const [isOn] = useShortcutsSetting();
  const current = useRef(shortcuts);
  useEffect(() => {
    current.current = shortcuts;
  });
  useEffect(() => {
    if (!isOn) return undefined;
    const onKeyDown = (event: KeyboardEvent) => {
      const run = current.current[event.key];
      if (!run || event.ctrlKey || event.metaKey || event.altKey || isTaken(event.target)) return;
      event.preventDefault();
      run();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [isOn]);
}

function isTaken(target: EventTarget | null): boolean {
  if (document.querySelector('[role=dialog], [role=listbox]')) return true;
  return target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable]');
}
