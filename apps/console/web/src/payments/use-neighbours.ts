import { useState } from 'react';
import { type PaymentsSearch } from './payments-search.js';
import { usePayments } from './queries.js';

/** The payments before and after one in the list with these filters. A payment that has just left the list keeps its place. */
export function useNeighbours(id: string, search: PaymentsSearch) {
  const { items } = usePayments(search);
  const index = items.findIndex((item) => item.id === id);
  const [place, setPlace] = useState(0);
  const isListed = index >= 0;
  if (isListed && index !== place) setPlace(index);
  return {
    next: items[isListed ? index + 1 : place]?.id,
    previous: items[(isListed ? index : place) - 1]?.id,
  };
}
