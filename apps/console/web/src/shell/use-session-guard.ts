import { useRouter } from '@tanstack/react-router';
import { useEffect } from 'react';

/** Has the routes checked again when a session begins or ends, so that a person without one gets to the sign-in page, and back. */
export function useSessionGuard(isSignedIn: boolean): void {
  const router = useRouter();
  useEffect(() => {
    void router.invalidate();
  }, [router, isSignedIn]);
}
