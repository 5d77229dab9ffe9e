/**
 * Makes a text of others safe for a terminal. Keys, errors and payloads come from other systems, and control characters in them could
 * hide or forge lines.
 */
export function plain(text: string): string {
  // C0 and C1 controls except line breaks and tabs, and what changes the direction of a text.
  return text.replaceAll(/(?![\t\n])\p{Cc}|\p{Bidi_Control}/gu, escaped);
}

/** Returns a value as JSON, without the controls that JSON leaves as they are. Without an indentation, it is one line. */
export function safeJson(value: unknown, indentation?: number): string {
  return JSON.stringify(value, undefined, indentation).replaceAll(/(?!\n)\p{Cc}|\p{Bidi_Control}/gu, escaped);
}

const escaped = (control: string) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`;
