/** A frame of a stream of server-sent events. */
export interface EventFrame {
  readonly id?: string;
  /** In milliseconds. */
  readonly retry?: number;
  /** Absent in a frame that only moves the place to resume from. */
  readonly data?: string;
  readonly event: string;
}

/** Splits the text of a stream into frames, as in the HTML Standard, section 9.2.6. A frame at the end that is not complete is dropped. */
export class FrameParser {
  private rest = '';
  private lines: string[] = [];

  /** Takes the next part of the text, which may end anywhere. Returns the frames that it completes. */
  push(text: string): EventFrame[] {
    // A carriage return at the end may be the first half of a line break.
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? '';
    const frames: EventFrame[] = [];
    for (const line of lines) {
      if (line !== '') this.lines.push(line);
      else if (this.lines.length > 0) frames.push(frameOf(this.lines.splice(0)));
    }
    return frames;
  }
}

function frameOf(lines: readonly string[]): EventFrame {
  const fields = lines.map(fieldOf);
  const last = (name: string) => fields.findLast((field) => field.name === name)?.value;
  const [id, retry, event] = [last('id'), last('retry'), last('event')];
  const data = fields.filter(({ name }) => name === 'data').map(({ value }) => value);
  return {
    event: event || 'message',
    ...(id !== undefined && { id }),
    ...(retry !== undefined && /^\d+$/.test(retry) && { retry: Number(retry) }),
    ...(data.length > 0 && { data: data.join('\n') }),
  };
}

/** A comment becomes a field without a name. */
function fieldOf(line: string): { readonly name: string; readonly value: string } {
  const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
  return { name, value };
}
