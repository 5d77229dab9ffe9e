/** A log line of a client library. */
export interface LogLine {
  readonly level: 'error' | 'warn' | 'debug';
  readonly text: string;
}

const MINUTE_MS = 60_000;
/** Bounds the memory in case there are many kinds of texts. */
const MAX_KINDS = 500;

/** Routine events. Their consequences, if any, are reported where they occur. */
const NORMAL = [
  /rebalanc|rejoin is needed|re-?joining/i,
  /already exists|topic creation errors|the lease was lost/i,
  /coordinator is loading/i,
  // A group that all members have left, and a member that left when it was stopped.
  /not aware of this member/i,
  // A refusal (`KafkaRefusal`), which the relay, the inbox or the command reports in our own words.
  /Response Sasl/,
  /\bKafka at \S+:\d+ /,
];

/** Lets through one line of each kind a minute. The next line of the kind says how many were suppressed. */
export class LineLimit {
  private readonly kinds = new Map<string, { since: number; suppressed: number }>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Returns the line to log, or undefined if it is suppressed. */
  take({ level, text }: LogLine): LogLine | undefined {
    if (level === 'debug' || NORMAL.some((normal) => normal.test(text))) return { level: 'debug', text };
    const kind = kindOf(text);
    const last = this.kinds.get(kind);
    if (last && this.now() - last.since < MINUTE_MS) {
      last.suppressed++;
      return undefined;
    }
    if (this.kinds.size >= MAX_KINDS) this.kinds.clear();
    this.kinds.set(kind, { since: this.now(), suppressed: 0 });
    return {
      level,
      text: last?.suppressed ? `${text} (and ${last.suppressed} more like it since the last such line)` : text,
    };
  }
}

/** Replaces ids and numbers, which differ from one occurrence to the next. */
function kindOf(text: string): string {
  return text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, '#')
    .replaceAll(/\b[0-9a-f]{12,}\b/gi, '#')
    .replaceAll(/\d+/g, '#');
}
