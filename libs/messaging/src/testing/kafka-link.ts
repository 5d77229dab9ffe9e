import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** The number of Kafka's request `Produce`. */
const PRODUCE = 0;

/** A way to a Kafka broker on loopback that can be made to fail, and to answer what the broker would not. It starts open. */
export class KafkaLink {
  /** How many connections it has taken so far. */
  taken = 0;
  /** How many answers to `Produce` it has lost so far. */
  lost = 0;
  private readonly pairs = new Set<readonly Socket[]>();
  private readonly replacements: { readonly from: Buffer; readonly to: Buffer }[] = [];
  private mode: 'open' | 'cut' | 'silent' | 'losing' = 'open';

  private constructor(
    private readonly server: Server,
    private readonly brokerPort: number,
    private readonly ownAddress: { readonly from: Buffer; readonly to: Buffer },
  ) {
    server.on('connection', (client) => this.accept(client));
  }

  /** Listens on a free port. */
  static async open(broker: string): Promise<KafkaLink> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const brokerPort = Number(broker.split(':')[1]);
    const { port } = server.address() as AddressInfo;
    // Kafka tells its clients its own address: else they would go past the link.
    return new KafkaLink(server, brokerPort, { from: address(brokerPort), to: address(port) });
  }

  /** host:port, as clients want it. */
  get broker(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Resets every connection, and each new one at once. */
  cut(): void {
    this.mode = 'cut';
    for (const pair of this.pairs) reset(pair);
  }

  /** Takes connections and lets nothing pass, until it is healed: then all of it arrives. */
  silence(): void {
    this.mode = 'silent';
    for (const pair of this.pairs) for (const socket of pair) socket.pause();
  }

  /** What producers send reaches the broker and is written; before its answer arrives, the connection breaks. */
  loseAnswers(): void {
    this.mode = 'losing';
  }

  /** Puts other bytes, as many, in the place of these in every answer. */
  replaceInAnswers(from: Buffer, to: Buffer): void {
    this.replacements.push({ from, to });
  }

  heal(): void {
    this.mode = 'open';
    this.replacements.splice(0);
    for (const pair of this.pairs) for (const socket of pair) socket.resume();
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const pair of this.pairs) reset(pair);
    await closed;
  }

  private accept(client: Socket): void {
    this.taken++;
    const broker = connect({ port: this.brokerPort, host: '127.0.0.1', noDelay: true });
    const pair = [client, broker] as const;
    const produceIds = new Set<number>();
    const requests = frames((request) => {
      if (request.readInt16BE(4) === PRODUCE) produceIds.add(request.readInt32BE(8));
      broker.write(request);
    });
    const answers = frames((answer) => {
      const lost = produceIds.delete(answer.readInt32BE(4)) && this.mode === 'losing';
      if (lost) this.lost++;
      if (lost) reset(pair);
      else client.write(this.replaced(answer));
    });
    this.pairs.add(pair);
    for (const socket of pair) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.pairs.delete(pair);
        for (const one of pair) one.destroy();
      });
    }
    client.on('data', requests);
    broker.on('data', answers);
    if (this.mode === 'cut') reset(pair);
    if (this.mode === 'silent') for (const socket of pair) socket.pause();
  }

  private replaced(answer: Buffer): Buffer {
    for (const { from, to } of [this.ownAddress, ...this.replacements])
      for (let at = answer.indexOf(from); at >= 0; at = answer.indexOf(from, at + from.length)) to.copy(answer, at);
    return answer;
  }
}

function reset(pair: readonly Socket[]): void {
  for (const socket of pair) socket.resetAndDestroy();
}

/** As Kafka's answers have it: a string, which its length precedes, and a port of four bytes. */
function address(port: number): Buffer {
  const bytes = Buffer.from('\0\t127.0.0.1    ');
  bytes.writeInt32BE(port, bytes.length - 4);
  return bytes;
}

/** Cuts a stream into the messages of Kafka's protocol: each begins with the number of bytes that follow. */
function frames(onFrame: (frame: Buffer) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const size = 4 + rest.readInt32BE(0);
      onFrame(Buffer.from(rest.subarray(0, size)));
      rest = rest.subarray(size);
    }
  };
}
