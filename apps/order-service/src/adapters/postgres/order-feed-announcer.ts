/** Between two notices of one process: what is committed meanwhile is announced by the second. */
const ANNOUNCE_EVERY_MS = 10;
/** After a notice that could not be sent: those who listen poll as well. */
const ANNOUNCE_AGAIN_MS = 1000;

/** Tells the other replicas that steps were committed: soon, and once for many. */
export class OrderFeedAnnouncer {
  private timer: NodeJS.Timeout | undefined;
  private isWantedAgain = false;
  private nextAt = 0;
  private closed = false;

  constructor(private readonly notify: () => Promise<unknown>) {}

  announce(): void {
    if (this.timer) this.isWantedAgain = true;
    else if (!this.closed) this.schedule();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  private schedule(): void {
    const waitMs = Math.max(0, this.nextAt - performance.now());
    this.timer = setTimeout(() => void this.send(), waitMs).unref();
  }

  private async send(): Promise<void> {
    this.isWantedAgain = false;
    this.nextAt = performance.now() + ANNOUNCE_EVERY_MS;
    try {
      await this.notify();
    } catch {
      this.nextAt = performance.now() + ANNOUNCE_AGAIN_MS;
    }
    this.timer = undefined;
    if (this.isWantedAgain && !this.closed) this.schedule();
  }
}
