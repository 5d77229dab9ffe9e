/** A gRPC call that has been answered. */
export interface FinishedCall {
  /** The path of the method, such as `/twinbox.orders.v1.OrderService/GetOrder`. */
  readonly method: string;
  /** The name of its gRPC status. */
  readonly status: string;
  readonly elapsedMs: number;
}

/** Reports the gRPC calls of this process to those that count them. Can be injected. */
export class RpcCalls {
  /** How many streams to clients are open. */
  openStreams = 0;
  private readonly listeners: ((call: FinishedCall) => void)[] = [];

  onFinished(listener: (call: FinishedCall) => void): void {
    this.listeners.push(listener);
  }

  report(call: FinishedCall): void {
    for (const listener of this.listeners) listener(call);
  }
}
