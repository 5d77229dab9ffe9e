/** A line of a client library. */
export interface LogLine {
  readonly level: 'error' | 'warn' | 'debug';
  readonly text: string;
}

const MINUTE_MS = 60_000;
/** Bounds the memory, should the texts turn out not to be of few kinds. */
const MAX_KINDS = 500;

/** What happens in every normal life, and is reported by its consequences where it has any. */
const NORMAL = [
  /rebalanc|rejoin is needed|re-?joining/i,
  /already exists|topic creation errors|the lease was lost/i,
  /coordinator is loading/i,
  // A group that all members have left, and a member that left at a stop.
  /not aware of this member/i,
];

/** Lets one line of a kind through in a minute, and tells with the next how many were left out. */
export class LineLimit {
  private readonly kinds = new Map<string, { since: number; left: number }>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** The line to write; undefined for none. */
  take({ level, text }: LogLine): LogLine | undefined {
    if (level === 'debug' || NORMAL.some((normal) => normal.test(text))) return { level: 'debug', text };
    const kind = kindOf(text);
    const last = this.kinds.get(kind);
    if (last && this.now() - last.since < MINUTE_MS) {
      last.left++;
      return undefined;
    }
    if (this.kinds.size >= MAX_KINDS) this.kinds.clear();
    this.kinds.set(kind, { since: this.now(), left: 0 });
    return { level, text: last?.left ? `${text} (and ${last.left} more like it since the last such line)` : text };
  }
}

/** The text without what differs from one occurrence to the next: ids and numbers. */
function kindOf(text: string): string {
  return text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, '#')
    .replaceAll(/\b[0-9a-f]{12,}\b/gi, '#')
    .replaceAll(/\d+/g, '#');
}
