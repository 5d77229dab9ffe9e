import { useNavigate } from '@tanstack/react-router';
import { type MouseEvent, type ReactNode, useCallback, useMemo } from 'react';
import { present, stringifySearch } from '../../shell/search-params.js';
import { useService } from '../service.js';

interface RowLinkProps {
  readonly href: string;
  readonly onOpen: (href: string) => void;
  readonly children: ReactNode;
}

/** A link in a row of a long table. The router's own links do too much work for rows that pass by at a frame each. */
export function RowLink({ href, onOpen, children }: RowLinkProps) {
  const open = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    onOpen(href);
  };
  return (
    <a href={href} onClick={open}>
      {children}
    </a>
  );
}

export interface RowLinks {
  readonly hrefOf: (search: object, id?: string) => string;
  readonly onOpen: (href: string) => void;
}

/** Where the rows of a page lead to. A row that opens beside the list is no step of its own on the way back. */
export function useRowLinks(page: 'dead-letters' | 'dead-jobs' | 'parked' | 'operations'): RowLinks {
  const service = useService();
  const navigate = useNavigate();
  const replace = page !== 'operations';
  const onOpen = useCallback(
    (href: string) => void navigate({ href, replace, resetScroll: !replace }),
    [navigate, replace],
  );
  const hrefOf = useCallback(
    (search: object, id?: string) =>
      `/messaging/${service}/${page}${id === undefined ? '' : `/${id}`}${stringifySearch(present(search) as never)}`,
    [service, page],
  );
  return useMemo(() => ({ hrefOf, onOpen }), [hrefOf, onOpen]);
}
