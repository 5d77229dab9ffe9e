import { FaultProxy, type Filter } from '@twinbox/tools/fault-proxy';
import { frames, lengthFirst } from './frames.js';

/** The API key of Kafka's `Produce` request. */
const PRODUCE = 0;

/** What a link does besides passing data on. */
interface Faults {
  isLosing: boolean;
  lost: number;
  readonly replacements: { readonly from: Buffer; readonly to: Buffer }[];
}

/** A proxy to a Kafka broker on loopback that can fail and can modify the broker's responses. It starts open. */
export class KafkaLink {
  private constructor(
    private readonly proxy: FaultProxy,
    private readonly faults: Faults,
  ) {}

  /** Listens on a free port. */
  static async open(broker: string): Promise<KafkaLink> {
    const faults: Faults = { isLosing: false, lost: 0, replacements: [] };
    const filter = (reset: () => void) => filterOf(faults, reset);
    return new KafkaLink(await FaultProxy.open(Number(broker.split(':')[1]), { advertises: true, filter }), faults);
  }

  /** The number of connections accepted so far. */
  get taken(): number {
    return this.proxy.accepted;
  }

  /** The number of responses to `Produce` lost so far. */
  get lost(): number {
    return this.faults.lost;
  }

  /** The link's address as `host:port`. */
  get broker(): string {
    return `127.0.0.1:${this.proxy.port}`;
  }

  /** Resets all connections, and new ones immediately. */
  cut(): void {
    this.proxy.cut();
  }

  /** Accepts connections but forwards nothing until {@link heal}, which delivers everything. */
  silence(): void {
    this.proxy.silence();
  }

  /** Lets the broker receive and write what producers send, but breaks the connection before the response arrives. */
  loseAnswers(): void {
    this.faults.isLosing = true;
  }

  /** Replaces these bytes in every response by others of the same length. */
  replaceInAnswers(from: Buffer, to: Buffer): void {
    this.faults.replacements.push({ from, to });
  }

  heal(): void {
    this.faults.isLosing = false;
    this.faults.replacements.splice(0);
    this.proxy.heal();
  }

  close(): Promise<void> {
    return this.proxy.close();
  }
}

function filterOf(faults: Faults, reset: () => void): Filter {
  const produceIds = new Set<number>();
  const passRequest = (request: Buffer) => {
    if (request.readInt16BE(4) === PRODUCE) produceIds.add(request.readInt32BE(8));
    return request;
  };
  const passAnswer = (answer: Buffer) => {
    const isLost = produceIds.delete(answer.readInt32BE(4)) && faults.isLosing;
    if (!isLost) return replaced(answer, faults);
    faults.lost++;
    reset();
    return undefined;
  };
  return { request: frames(lengthFirst, passRequest), answer: frames(lengthFirst, passAnswer) };
}

function replaced(answer: Buffer, { replacements }: Faults): Buffer {
  for (const { from, to } of replacements)
    for (let at = answer.indexOf(from); at >= 0; at = answer.indexOf(from, at + from.length)) to.copy(answer, at);
  return answer;
}
