import { type InboxWork } from './inbox-work.js';
import { type Reading } from './message.js';

/** Types that no contract names are logged up to that many: whoever writes to the topic decides how many there are. */
const MAX_LOGGED = 100;

/** What a consumer leaves alone of what Kafka delivers: it is counted, and nothing is recorded. */
export class IgnoredMessages {
  private readonly logged = new Set<string>();

  constructor(private readonly work: InboxWork) {}

  /** Whether the message is one of them; counts it then. */
  take(reading: Reading): boolean {
    const { work } = this;
    if (reading.readable) {
      if (work.handles(reading.message.type)) return false;
      work.counts.passedOver++;
      return true;
    }
    if (!reading.unknownType || !work.settings.ignoresUnknownTypes) return false;
    work.counts.unknownTypes++;
    this.logOnce(reading.type ?? '', reading.reason);
    return true;
  }

  private logOnce(type: string, reason: string): void {
    if (this.logged.has(type) || this.logged.size >= MAX_LOGGED) return;
    this.logged.add(type);
    this.work.logger.warn(`Ignoring messages of type ${type} from now on: ${reason}. This is logged once`);
  }
}
