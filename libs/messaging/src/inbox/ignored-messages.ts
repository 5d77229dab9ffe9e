import { type InboxWork } from './inbox-work.js';
import { type Reading } from '../message/message.js';

/** The most unknown types that are logged, because other producers decide how many there are. */
const MAX_LOGGED = 100;

/** Counts the delivered messages that a consumer ignores. Nothing is recorded for them. */
export class IgnoredMessages {
  private readonly logged = new Set<string>();

  constructor(private readonly work: InboxWork) {}

  /** Returns whether the message is to be ignored, and counts it if so. */
  countIfIgnored(reading: Reading): boolean {
    const { work } = this;
    if (reading.readable) {
      if (work.handles(reading.message.type)) return false;
      work.counts.ignored++;
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
    this.work.logger.warn(`Ignoring messages of type ${type}: ${reason}. This is logged only once per type`);
  }
}
