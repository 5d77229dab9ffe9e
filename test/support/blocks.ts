/** A fenced block of code in a Markdown document. */
export interface Block {
  /** The text after the opening fence, such as `ts`. */
  readonly info: string;
  readonly text: string;
  /** The heading above the block, without its number signs; empty if there is none. */
  readonly heading: string;
  /** The path at the start of the last line before the block, if it is in bold: **`migrations/orders.ts`** */
  readonly file: string | undefined;
  /** The line where the block begins, for messages. */
  readonly line: number;
}

/** Returns the fenced blocks of a document in order, including those indented under list items. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: (Omit<Block, 'text'> & { readonly indent: string; readonly lines: string[] }) | undefined;
  let file: string | undefined;
  let heading = '';
  for (const [index, line] of markdown.split('\n').entries()) {
    const [, indent = '', info = ''] = /^( *)```(.*)$/.exec(line) ?? [];
    const isFence = line.startsWith('```', indent.length);
    if (open && isFence) {
      const { info, heading, file, line, lines } = open;
      blocks.push({ info, heading, file, line, text: lines.map((text) => `${text}\n`).join('') });
      open = undefined;
    } else if (open) {
      open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
    } else if (isFence) {
      open = { indent, info: info.trim(), heading, file, line: index + 1, lines: [] };
      file = undefined;
    } else if (line.trim() !== '') {
      file = /^\*\*`([^`]+)`\*\*/.exec(line)?.[1];
      heading = /^#+ (.*)/.exec(line)?.[1] ?? heading;
    }
  }
  return blocks;
}
