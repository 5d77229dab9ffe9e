import { type DocumentNode, parse, type ValueNode } from '@humanwhocodes/momoa';

/** Something that is wrong with the text of an editor, and where. */
export interface EditProblem {
  readonly detail: string;
  /** A JSON pointer (RFC 6901), as a URI fragment. */
  readonly pointer?: string;
  /** The part of the text to select. */
  readonly place?: Place;
}

export interface Place {
  readonly from: number;
  readonly to: number;
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
}

/** The position that the parser's errors have. */
interface PositionedError extends Error {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

/** Checks that a text is JSON. Returns undefined if it is. */
export function syntaxProblem(text: string): EditProblem | undefined {
  try {
    parse(text, { mode: 'json' });
    return undefined;
  } catch (error) {
    if (!(error instanceof Error) || !('offset' in error)) return { detail: 'The text is nested too deeply.' };
    const { message, offset, line, column } = error as PositionedError;
    const detail = message.replace(/ ?\(\d+:\d+\)\.?$/, '').replace(/\.*$/, '.');
    return { detail, place: { from: offset, to: Math.min(offset + 1, text.length), line, column } };
  }
}

/**
 * Splits the service's reason for refusing an edit into the rules that the text violates. A rule begins with the path of its field, such as
 * `items.0.quantity must be positive`. Rules whose field is not in the text are shown without a place.
 */
export function contractProblems(reason: string, text: string): readonly EditProblem[] {
  const [, rules] = /violates its contract: (.+)$/s.exec(reason) ?? [];
  if (rules === undefined) return [{ detail: `${reason}.` }];
  const document = documentOf(text);
  return rules.split('; ').map((rule) => {
    const path = /^[\w$-]+(?:\.[\w$-]+)*/.exec(rule)?.[0].split('.') ?? [];
    const node = document && nodeAt(document.body, path);
    const detail = `${rule}.`;
    return node ? { detail, pointer: pointerTo(path), place: placeOf(node) } : { detail };
  });
}

const pointerTo = (path: readonly string[]) =>
  `#${path.map((step) => `/${step.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')}`;

function documentOf(text: string): DocumentNode | undefined {
  try {
    return parse(text, { mode: 'json' });
  } catch {
    return undefined;
  }
}

function nodeAt(node: ValueNode, path: readonly string[]): ValueNode | undefined {
  const [step, ...rest] = path;
  if (step === undefined) return node;
  const child =
    node.type === 'Object'
      ? node.members.find(({ name }) => (name.type === 'String' ? name.value : name.name) === step)?.value
      : node.type === 'Array'
        ? node.elements[Number(step)]?.value
        : undefined;
  return child && nodeAt(child, rest);
}

function placeOf({ loc: { start, end } }: ValueNode): Place {
  return { from: start.offset, to: end.offset, line: start.line, column: start.column };
}

/** Indents JSON. Returns anything else unchanged. */
export function indented(text: string): string {
  // Numbers keep their digits, which JSON.parse would round.
  if (syntaxProblem(text) || !isExact(text)) return text;
  return JSON.stringify(JSON.parse(text), null, 2);
}

/** Whether reading and writing the JSON keeps what it says: no repeated names, no number that loses digits. */
function isExact(text: string): boolean {
  try {
    return JSON.stringify(JSON.parse(text)) === withoutSpace(text);
  } catch {
    return false;
  }
}

/** Removes the white space between tokens, but not that in strings. */
function withoutSpace(text: string): string {
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|\s+/g, (part) => (part.startsWith('"') ? part : ''));
}
