import { isUtf8 } from 'node:buffer';
import { identityFlaw, isTooLong, storable } from './column-text.js';
import { type Attributes } from './structured-mode.js';

/** The attributes that every message must have. */
interface Identity {
  readonly id: string;
  readonly type: string;
  readonly source: string;
}

/** Returns the attributes that identify a message and its type, or why they do not. */
export function identityOf(attributes: Attributes, isBinary: boolean): Identity | { readonly flaw: string } {
  const { id, type, source, specversion } = attributes;
  const prefix = isBinary ? 'ce_' : '';
  if (!id || !type || !source || !specversion) {
    const missing = Object.entries({ id, type, source, specversion }).filter(([, value]) => !value);
    const names = missing.map(([name]) => `${prefix}${name}`).join(', ');
    return { flaw: `${isBinary ? 'header' : 'attribute'} missing: ${names}` };
  }
  if (specversion !== '1.0') return { flaw: `${prefix}specversion is not 1.0` };
  for (const [name, value] of Object.entries({ id, source, type })) {
    const wrong = attributeFlaw(value);
    if (wrong !== undefined) return { flaw: `${prefix}${name} ${wrong}` };
  }
  const flaw = identityFlaw(id, source);
  return flaw === undefined ? { id, type, source } : { flaw };
}

/** Returns the attributes that are present, truncated to what a column can store. */
export function shownAttributes({ id, type, source }: Attributes): Partial<Identity> {
  return {
    ...(id !== undefined && { id: shown(id) }),
    ...(type !== undefined && { type: shown(type) }),
    ...(source !== undefined && { source: shown(source) }),
  };
}

/** Truncates the text to what a column can store. */
function shown(text: string): string {
  return storable(text.slice(0, 255)).toWellFormed();
}

/**
 * Explains why no inbox accepts the text as an id, a source or a type; undefined if it does. U+FFFD is rejected because bytes that
 * are not UTF-8 turn into it. Two different ids of such bytes would look the same, and the second would be dropped.
 */
export function attributeFlaw(text: string): string | undefined {
  if (/\p{Cc}/u.test(text)) return 'contains a control character';
  if (/[\p{Cs}\uFFFD]/u.test(text)) return 'is not Unicode text';
  return isTooLong(text) ? 'is longer than 255 characters' : undefined;
}

/** Reads a key as text. Decoding other bytes could turn different keys into the same text. */
export function keyOf(
  key: Buffer | null,
): { readonly text: string; readonly flaw?: undefined } | { readonly flaw: string } {
  if (key === null) return { flaw: 'the record has no key' };
  if (!isUtf8(key)) return { flaw: 'the key is not UTF-8' };
  const text = key.toString();
  if (text.includes('\0')) return { flaw: 'the key contains a zero byte' };
  return isTooLong(text) ? { flaw: 'the key is longer than 255 characters' } : { text };
}
