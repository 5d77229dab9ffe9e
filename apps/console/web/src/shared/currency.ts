/**
 * How many decimals a currency has according to ISO 4217, for those with another number than two. Browsers know the numbers that are used
 * in practice, which differ for some currencies. The services count in the minor units of the standard.
 */
const DECIMALS: Readonly<Record<number, string>> = {
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF',
  3: 'BHD IQD JOD KWD LYD OMR TND',
  4: 'CLF UYW',
};

const decimals = new Map(
  Object.entries(DECIMALS).flatMap(([count, codes]) => codes.split(' ').map((code) => [code, Number(count)] as const)),
);

/** Returns how many decimals a currency has. */
export function decimalsOf(currency: string): number {
  return decimals.get(currency) ?? 2;
}

const formats = new Map<string, Intl.NumberFormat>();

/** Writes an amount in minor units as people of the viewer's language do: 12345 EUR is `€123.45`. Exact for every safe integer. */
export function formatMoney(amount: number, currency: string, locale?: string): string {
  const digits = decimalsOf(currency);
  return formatOf(currency, digits, locale).format(decimal(amount, digits));
}

function formatOf(currency: string, digits: number, locale: string | undefined): Intl.NumberFormat {
  const key = `${locale} ${currency}`;
  const found = formats.get(key);
  if (found) return found;
  const fraction = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const format = new Intl.NumberFormat(locale, { style: 'currency', currency, ...fraction });
  formats.set(key, format);
  return format;
}

/** As text, because a division would lose the last digits of large amounts. */
function decimal(amount: number, digits: number): Intl.StringNumericLiteral {
  const text = String(Math.abs(amount)).padStart(digits + 1, '0');
  const whole = text.slice(0, text.length - digits);
  const fraction = digits === 0 ? '' : `.${text.slice(-digits)}`;
  return `${amount < 0 ? '-' : ''}${whole}${fraction}` as Intl.StringNumericLiteral;
}

/** Reads an amount that a person has typed, such as `12.50`, in minor units. Undefined if it is not an amount of the currency. */
export function parseMoney(text: string, currency: string): number | undefined {
  const digits = decimalsOf(currency);
  const [, whole = '', fraction = ''] = /^\s*(\d{1,13})(?:[.,](\d{0,4}))?\s*$/.exec(text) ?? [];
  if (whole === '' || fraction.length > digits) return undefined;
  const amount = Number(`${whole}${fraction.padEnd(digits, '0')}`);
  return Number.isSafeInteger(amount) ? amount : undefined;
}
