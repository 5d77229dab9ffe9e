import { useEffect, useState } from 'react';

/** Returns the focus to where it was before a dialog was shown, or else to the heading of the page. */
export function useReturnedFocus(): void {
  const [before] = useState(() => document.activeElement);
  useEffect(
    () => () => {
      // After the dialog has left the page, because its focus trap would take the focus back.
      setTimeout(() => {
        const isUsable = before instanceof HTMLElement && before.isConnected && before !== document.body;
        (isUsable ? before : document.querySelector<HTMLElement>('main h1'))?.focus({ preventScroll: true });
      });
    },
    [before],
  );
}
