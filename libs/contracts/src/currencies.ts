import { ValidateBy } from 'class-validator';
import { LAST_DAYS } from './currency-list.js';

/**
 * Where List One of ISO 4217, as published on 2026-01-01 and amended up to number 180, differs from CLDR: the last day of a currency;
 * null: it is in use.
 */
const AMENDED: Readonly<Record<string, string | null>> = {
  // El Salvador pays in US dollars since 2001, but the colon was never withdrawn.
  SVC: null,
  // Venezuela's second code for the same money, beside VES (amendment 170).
  VED: null,
};

/** Funds, precious metals, bonds and units of account, by ISO 4217: nothing has a price in them. */
const NOT_TENDER: ReadonlySet<string> = new Set(
  'BOV CHE CHW CLF COU MXV USN USS UYI UYW XAD XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XUA'.split(' '),
);

/** For tests, and for no currency, by ISO 4217. Products could be priced in them in version 0.1.0 and before. */
const PLACEHOLDERS: ReadonlySet<string> = new Set(['XTS', 'XXX']);

function lastDayOf(code: string): string | null | undefined {
  return Object.hasOwn(AMENDED, code) ? AMENDED[code] : Object.hasOwn(LAST_DAYS, code) ? LAST_DAYS[code] : undefined;
}

/**
 * Whether it is a code of ISO 4217, in use or withdrawn: what an order, a payment or a message may have. A currency that is withdrawn
 * leaves what was sold in it, and earlier versions had prices in any code of the standard, `XTS` and `XXX` included.
 */
export function isKnownCurrency(code: unknown): boolean {
  return typeof code === 'string' && (PLACEHOLDERS.has(code) || isOfValue(code));
}

function isOfValue(code: string): boolean {
  return NOT_TENDER.has(code) || lastDayOf(code) !== undefined;
}

/** Whether something may be priced in it: legal tender on that day, in UTC. */
export function isCurrentCurrency(code: unknown, at = new Date()): boolean {
  if (typeof code !== 'string' || NOT_TENDER.has(code)) return false;
  const lastDay = lastDayOf(code);
  return lastDay === null || (lastDay !== undefined && at.toISOString().slice(0, 10) <= lastDay);
}

/** The codes of all currencies that something may be priced in, sorted. */
export function currentCurrencies(at = new Date()): string[] {
  return [...new Set([...Object.keys(LAST_DAYS), ...Object.keys(AMENDED)])]
    .filter((code) => isCurrentCurrency(code, at))
    .sort();
}

/**
 * The codes, sorted, of what a product may only still be priced in, if it was before: withdrawn currencies, funds and metals. Never `XTS`
 * and `XXX`.
 */
export function formerCurrencies(at = new Date()): string[] {
  return [...new Set([...Object.keys(LAST_DAYS), ...NOT_TENDER])].filter((code) => !isCurrentCurrency(code, at)).sort();
}

/** See {@link isKnownCurrency}. */
export function IsKnownCurrency(): PropertyDecorator {
  return ValidateBy({
    name: 'isKnownCurrency',
    validator: {
      validate: (value) => isKnownCurrency(value),
      defaultMessage: () => '$property must be a currency code of ISO 4217',
    },
  });
}

/** A code that a price may have: see {@link isCurrentCurrency} and {@link formerCurrencies}, between which the price decides. */
export function IsPriceCurrency(): PropertyDecorator {
  return ValidateBy({
    name: 'isPriceCurrency',
    validator: {
      validate: (value) => typeof value === 'string' && isOfValue(value),
      defaultMessage: () => '$property must be the ISO 4217 code of a currency that is legal tender, such as EUR',
    },
  });
}
