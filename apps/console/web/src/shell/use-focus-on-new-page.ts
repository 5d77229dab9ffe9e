import { useRouter } from '@tanstack/react-router';
import { useEffect } from 'react';

/** Moves the focus to the heading of a new page, so that screen readers announce it and the keyboard continues there. */
export function useFocusOnNewPage(): void {
  const router = useRouter();
  useEffect(() => {
    // Pages that load something have no heading at first.
    const observer = new MutationObserver(() => {
      if (document.activeElement?.tagName !== 'MAIN') observer.disconnect();
      else focusHeading();
    });
    const unsubscribe = router.subscribe('onRendered', ({ fromLocation, pathChanged }) => {
      observer.disconnect();
      const main = document.querySelector('main');
      if (!fromLocation || !pathChanged || !main || focusHeading()) return;
      main.focus({ preventScroll: true });
      observer.observe(main, { childList: true, subtree: true });
    });
    return () => {
      unsubscribe();
      observer.disconnect();
    };
  }, [router]);
}

function focusHeading(): boolean {
  const heading = document.querySelector<HTMLElement>('main h1[tabindex]');
  heading?.focus({ preventScroll: true });
  return heading !== null;
}
