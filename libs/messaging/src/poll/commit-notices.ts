/** The minimum interval between two notifications of one process. The second one covers the rows committed in between. */
const NOTIFY_EVERY_MS = 2;

/** Notifies the leader in another process of the commits in this one. */
export class CommitNotices {
  private notice: NodeJS.Timeout | NodeJS.Immediate | undefined;
  private again = false;
  private nextAt = 0;

  /** `send` must not throw. */
  constructor(private readonly send: () => Promise<void>) {}

  /** Called when rows were committed. */
  committed(): void {
    if (this.notice) this.again = true;
    else this.schedule();
  }

  private schedule(): void {
    const waitMs = this.nextAt - performance.now();
    const notify = () => void this.notify();
    // A timer waits for at least 1 ms.
    this.notice = waitMs > 0 ? setTimeout(notify, waitMs).unref() : setImmediate(notify);
  }

  /** Sends one notification at a time, so that on a silent connection a lease renewal does not queue behind them. */
  private async notify(): Promise<void> {
    this.again = false;
    this.nextAt = performance.now() + NOTIFY_EVERY_MS;
    await this.send();
    this.notice = undefined;
    if (this.again) this.schedule();
  }
}
