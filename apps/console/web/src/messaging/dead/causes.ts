import { type CauseGroup } from '@twinbox/client/admin';

export type Box = 'inbox' | 'outbox';

/** The causes of one box. */
interface CausesOfBox {
  readonly box: Box;
  readonly items: readonly CauseGroup[];
}

/** A cause, and the box whose letters have it: a bulk operation concerns one box. */
export interface Cause extends CauseGroup {
  readonly box: Box;
}

/** Puts the causes of both boxes into one list, the most frequent first, then the latest. */
export function mergedCauses(boxes: readonly CausesOfBox[]): readonly Cause[] {
  return boxes
    .flatMap(({ box, items }) => items.map((group): Cause => ({ ...group, box })))
    .toSorted((a, b) => b.count - a.count || b.newest.localeCompare(a.newest));
}

/** A part of the text of a cause. Holes stand for what differs between its errors. */
export interface CausePart {
  readonly text: string;
  /** Where it begins. */
  readonly at: number;
  readonly isHole: boolean;
}

/** Splits a cause at the places that the service has made equal: `…` for quoted values, `#` for ids and numbers. */
export function partsOf(cause: string): readonly CausePart[] {
  return [...cause.matchAll(/[…#]|[^…#]+/gu)].map(({ 0: text, index: at }) => ({
    text,
    at,
    isHole: /^[…#]$/u.test(text),
  }));
}
