import { useNavigate } from '@tanstack/react-router';
import { useCallback } from 'react';
import { present } from '../shell/search-params.js';

/** Changes the filters in the address of the page. The way back leads to the page before, not through every filter. */
export function useSearchChange(): (search: object) => void {
  const navigate = useNavigate();
  return useCallback(
    (search) => void navigate({ to: '.', search: present(search) as never, replace: true, resetScroll: false }),
    [navigate],
  );
}
