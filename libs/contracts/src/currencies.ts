import { ValidateBy } from 'class-validator';
import { LAST_DAYS } from './currency-list.js';

/**
 * Corrections to CLDR from List One of ISO 4217, as published on 2026-01-01 and amended up to number 180: the last day of a currency, or
 * null if it is in use.
 */
const AMENDED: Readonly<Record<string, string | null>> = {
  // El Salvador has used US dollars since 2001, but the colon was never withdrawn.
  SVC: null,
  // Venezuela's second code for the same currency, alongside VES (amendment 170).
  VED: null,
};

/** ISO 4217 codes of funds, precious metals, bonds and units of account, in which nothing has a price. */
const NOT_TENDER: ReadonlySet<string> = new Set(
  'BOV CHE CHW CLF COU MXV USN USS UYI UYW XAD XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XUA'.split(' '),
);

/** The ISO 4217 codes for testing and for "no currency". Up to version 0.1.0, products could be priced in them. */
const PLACEHOLDERS: ReadonlySet<string> = new Set(['XTS', 'XXX']);

function lastDayOf(code: string): string | null | undefined {
  return Object.hasOwn(AMENDED, code) ? AMENDED[code] : Object.hasOwn(LAST_DAYS, code) ? LAST_DAYS[code] : undefined;
}

/**
 * Returns whether `code` is an ISO 4217 code, in use or withdrawn. Orders, payments and messages may contain any of these, because a
 * withdrawn currency remains in what was sold in it, and earlier versions allowed prices in any code of the standard, `XTS` and `XXX`
 * included.
 */
export function isKnownCurrency(code: unknown): boolean {
  return typeof code === 'string' && (PLACEHOLDERS.has(code) || isOfValue(code));
}

function isOfValue(code: string): boolean {
  return NOT_TENDER.has(code) || lastDayOf(code) !== undefined;
}

/** Returns whether a new price may be in the currency, that is, whether it is legal tender on the day of `at` in UTC. */
export function isCurrentCurrency(code: unknown, at = new Date()): boolean {
  if (typeof code !== 'string' || NOT_TENDER.has(code)) return false;
  const lastDay = lastDayOf(code);
  return lastDay === null || (lastDay !== undefined && at.toISOString().slice(0, 10) <= lastDay);
}

/** Returns the sorted codes of all currencies that a new price may be in. */
export function currentCurrencies(at = new Date()): string[] {
  return [...new Set([...Object.keys(LAST_DAYS), ...Object.keys(AMENDED)])]
    .filter((code) => isCurrentCurrency(code, at))
    .sort();
}

/**
 * Returns the sorted codes in which a product may keep its price but not get a new one: withdrawn currencies, funds and metals, without
 * `XTS` and `XXX`.
 */
export function formerCurrencies(at = new Date()): string[] {
  return [...new Set([...Object.keys(LAST_DAYS), ...NOT_TENDER])].filter((code) => !isCurrentCurrency(code, at)).sort();
}

/** Accepts the codes for which {@link isKnownCurrency} returns true. */
export function IsKnownCurrency(): PropertyDecorator {
  return ValidateBy({
    name: 'isKnownCurrency',
    validator: {
      validate: (value) => isKnownCurrency(value),
      defaultMessage: () => '$property must be an ISO 4217 currency code',
    },
  });
}

/**
 * Accepts the codes of {@link currentCurrencies} and {@link formerCurrencies}. The rule for products decides further, because only an
 * unchanged price may be in one of the latter.
 */
export function IsPriceCurrency(): PropertyDecorator {
  return ValidateBy({
    name: 'isPriceCurrency',
    validator: {
      validate: (value) => typeof value === 'string' && isOfValue(value),
      defaultMessage: () => '$property must be the ISO 4217 code of a currency that is legal tender, such as EUR',
    },
  });
}
