import { FaultProxy } from '@twinbox/tools/fault-proxy';
import { frames, lengthFirst } from './frames.js';

/** The keys of requests in Kafka's protocol. */
export const REQUEST = { joinGroup: 11, heartbeat: 12 } as const;

/** A proxy to a Kafka broker on loopback that counts requests by their keys. */
export class CountingLink {
  private constructor(
    private readonly proxy: FaultProxy,
    private readonly requests: ReadonlyMap<number, number>,
  ) {}

  /** Listens on a free port. */
  static async open(broker: string): Promise<CountingLink> {
    const requests = new Map<number, number>();
    const count = (frame: Buffer) => {
      const key = frame.readInt16BE(4);
      requests.set(key, (requests.get(key) ?? 0) + 1);
      return frame;
    };
    const filter = () => ({ request: frames(lengthFirst, count) });
    return new CountingLink(
      await FaultProxy.open(Number(broker.split(':')[1]), { advertises: true, filter }),
      requests,
    );
  }

  /** The link's address as `host:port`. */
  get broker(): string {
    return `127.0.0.1:${this.proxy.port}`;
  }

  /** The number of requests so far. */
  sent(key: number): number {
    return this.requests.get(key) ?? 0;
  }

  close(): Promise<void> {
    return this.proxy.close();
  }
}
