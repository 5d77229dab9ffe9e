import { formatMoney } from './currency.js';

interface MoneyProps {
  /** In minor units. */
  readonly amount: number;
  /** ISO 4217. Null for an empty cart, which has none. */
  readonly currency: string | null;
}

/** An amount of money, as people of the viewer's language write it. */
export function Money({ amount, currency }: MoneyProps) {
  return <span className="tabular">{currency === null ? '–' : formatMoney(amount, currency)}</span>;
}
