/** A fenced block of code in a Markdown document. */
export interface Block {
  /** What follows the fence: `ts`. */
  readonly info: string;
  readonly text: string;
  /** The path in the last line before the block, where that begins with one in bold: **`migrations/schemas.ts`** */
  readonly file: string | undefined;
  /** The line of the document in which it begins, for messages. */
  readonly line: number;
}

/** The fenced blocks of a document in their order, also those that are indented below a list item. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: (Omit<Block, 'text'> & { readonly indent: string; readonly lines: string[] }) | undefined;
  let file: string | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    const [, indent = '', info = ''] = /^( *)```(.*)$/.exec(line) ?? [];
    const isFence = line.startsWith('```', indent.length);
    if (open && isFence) {
      const { info, file, line, lines } = open;
      blocks.push({ info, file, line, text: lines.map((text) => `${text}\n`).join('') });
      open = undefined;
    } else if (open) {
      open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
    } else if (isFence) {
      open = { indent, info: info.trim(), file, line: index + 1, lines: [] };
      file = undefined;
    } else if (line.trim() !== '') {
      file = /^\*\*`([^`]+)`\*\*/.exec(line)?.[1];
    }
  }
  return blocks;
}
