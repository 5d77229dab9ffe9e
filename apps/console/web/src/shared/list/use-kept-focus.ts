import { type RefObject, useEffect, useLayoutEffect, useRef } from 'react';

/** Keeps the focus in a list when a refresh removes the row that has it: the row that takes its place gets the focus. */
export function useKeptFocus(body: RefObject<HTMLElement | null>, items: readonly { readonly id: string }[]): void {
  const focused = useRef<string>(undefined);
  const before = useRef(items);
  useEffect(() => {
    const remember = ({ target }: FocusEvent) => {
      const row = target instanceof Element && body.current?.contains(target) ? target.closest('tr') : null;
      focused.current = row?.dataset['id'];
    };
    document.addEventListener('focusin', remember);
    return () => document.removeEventListener('focusin', remember);
  }, [body]);
  useLayoutEffect(() => {
    const index = before.current.findIndex(({ id }) => id === focused.current);
    before.current = items;
    const isLost = document.activeElement === document.body || document.activeElement === null;
    if (focused.current === undefined || index < 0 || !isLost) return;
    const next = items[Math.min(index, items.length - 1)];
    const row = next && body.current?.querySelector(`tr[data-id="${CSS.escape(next.id)}"]`);
    const target = row?.querySelector<HTMLElement>('a') ?? document.querySelector<HTMLElement>('main');
    target?.focus({ preventScroll: true });
  }, [body, items]);
}
