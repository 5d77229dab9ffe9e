import { OperationalError } from '../errors.js';

/** Replaces what a document has between `<!-- generated: name -->` and `<!-- end: name -->`. */
export function withGenerated(document: string, name: string, content: string): string {
  const [begin, end] = [`<!-- generated: ${name} -->`, `<!-- end: ${name} -->`];
  const [before, rest] = halves(document, begin);
  const [, after] = halves(rest, end);
  return `${before}${begin}\n\n${content}\n${end}${after}`;
}

function halves(text: string, marker: string): [string, string] {
  const parts = text.split(marker);
  if (parts.length !== 2)
    throw new OperationalError(`The marker ${marker} must occur once, not ${parts.length - 1} times`);
  return [parts[0] ?? '', parts[1] ?? ''];
}
