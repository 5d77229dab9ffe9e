/** The part of an error's text that its cause is made of, so that grouping costs at most 0.2 ms a letter. */
const COMPARED = 300;

/** Quoted values. A quote after a letter is an apostrophe. A value may have been cut off. */
const QUOTED = `"[^"]*("|$)|(?<!\\w)'[^']*('|$)|\`[^\`]*(\`|$)`;
/** UUIDs, other hexadecimal numbers, and every word with a digit in it, such as an id, a time, an address or an amount. */
const IDS = `[[:<:]]([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8,}|\\w*\\d\\w*([.,:+-]\\w*\\d\\w*)*)[[:>:]]`;

/**
 * Returns the SQL of the cause of an error: the beginning of its text with `…` for quoted values and `#` for ids and numbers. Errors that
 * differ in these only have one cause. No index serves it, so a statement must first choose the letters by something else.
 */
export function causeOf(error: string): string {
  return `regexp_replace(regexp_replace(left(${error}, ${COMPARED}), ${literal(QUOTED)}, '…', 'g'), ${literal(IDS)}, '#', 'gi')`;
}

/** Returns the condition that an error has this cause. Most other errors begin with another text, which is cheap to see. */
export function hasCause(error: string, cause: string): string {
  return `(starts_with(${error}, substring(${cause} from '^[^#…]*')) and ${causeOf(error)} = ${cause})`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Dead letters or dead jobs that died of the same cause. */
export interface CauseGroup {
  /** The error text with `…` for quoted values and `#` for ids and numbers, cut to its first 300 characters. A filter takes it unchanged. */
  readonly cause: string;
  readonly count: number;
  /** When the first and the last of them died. */
  readonly oldest: Date;
  readonly newest: Date;
  /** The event types of the letters, or the queues of the jobs, in alphabetical order; null for letters without a type. */
  readonly types: readonly (string | null)[];
}

/** Causes, the most frequent first. */
export interface Causes {
  readonly items: readonly CauseGroup[];
  /** False if there are more than 100 causes, or if only the newest letters were counted: at least 10,000, or those among 100,000. */
  readonly complete: boolean;
}

const MAX_GROUPS = 100;

/** Adds up the causes of one stretch of letters after the other. */
export class CauseCount {
  /** The number of letters. */
  total = 0;
  private readonly groups = new Map<string, CauseGroup>();

  add(groups: readonly CauseGroup[]): void {
    for (const group of groups) {
      const known = this.groups.get(group.cause);
      this.groups.set(group.cause, known ? sumOf(known, group) : group);
      this.total += group.count;
    }
  }

  /** Returns the most frequent causes. `all`: no letters are left to count. */
  causes(all: boolean): Causes {
    const groups = [...this.groups.values()].toSorted((a, b) => b.count - a.count || inOrder(a.cause, b.cause));
    const items = groups.slice(0, MAX_GROUPS).map((group) => ({ ...group, types: group.types.toSorted(inOrder) }));
    return { items, complete: all && groups.length <= MAX_GROUPS };
  }
}

function sumOf(a: CauseGroup, b: CauseGroup): CauseGroup {
  return {
    cause: a.cause,
    count: a.count + b.count,
    oldest: a.oldest < b.oldest ? a.oldest : b.oldest,
    newest: a.newest > b.newest ? a.newest : b.newest,
    types: [...new Set([...a.types, ...b.types])],
  };
}

/** Compares texts, with null after all of them. */
function inOrder(a: string | null, b: string | null): number {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? 1 : -1;
  return a < b ? -1 : 1;
}
