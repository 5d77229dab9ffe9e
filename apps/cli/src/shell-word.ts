/**
 * Returns a text as one word of bash or zsh that stands for exactly this text. What a terminal would not show as it is, such as a line break,
 * is escaped, so the word can be copied and cannot hide or forge a line.
 */
export function shellWord(text: string): string {
  if (/^[\w./:@%+,-]+$/.test(text)) return text;
  if (!UNPRINTABLE.test(text)) return `'${text.replaceAll("'", String.raw`'\''`)}'`;
  const quoted = text
    .replaceAll(/[\\']/g, String.raw`\$&`)
    .replaceAll('\n', String.raw`\n`)
    .replaceAll('\t', String.raw`\t`);
  return `$'${quoted.replaceAll(UNPRINTABLES, escaped)}'`;
}

/** Controls, what is not visible or changes the direction of a text, and separators other than the space, which a copy may lose. */
const UNPRINTABLE = /(?! )[\p{Cc}\p{Cf}\p{Z}]/u;
const UNPRINTABLES = new RegExp(UNPRINTABLE, 'gu');

const escaped = (character: string) => {
  const code = character.codePointAt(0) ?? 0;
  return code > 0xff_ff ? String.raw`\U${hex(code, 8)}` : String.raw`\u${hex(code, 4)}`;
};
const hex = (code: number, digits: number) => code.toString(16).padStart(digits, '0');
