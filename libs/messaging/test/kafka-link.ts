import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** The API key of Kafka's `Produce` request. */
const PRODUCE = 0;

/** A proxy to a Kafka broker on loopback that can fail and can modify the broker's responses. It starts open. */
export class KafkaLink {
  /** The number of connections accepted so far. */
  taken = 0;
  /** The number of responses to `Produce` lost so far. */
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
    // Kafka reports its own address to clients, which would otherwise bypass the link.
    return new KafkaLink(server, brokerPort, { from: address(brokerPort), to: address(port) });
  }

  /** The link's address as `host:port`. */
  get broker(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Resets all connections, and new ones immediately. */
  cut(): void {
    this.mode = 'cut';
    for (const pair of this.pairs) reset(pair);
  }

  /** Accepts connections but forwards nothing until {@link heal}, which delivers everything. */
  silence(): void {
    this.mode = 'silent';
    for (const pair of this.pairs) for (const socket of pair) socket.pause();
  }

  /** Lets the broker receive and write what producers send, but breaks the connection before the response arrives. */
  loseAnswers(): void {
    this.mode = 'losing';
  }

  /** Replaces these bytes in every response by others of the same length. */
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

/** Returns an address as Kafka encodes it: a string preceded by its length, and a port of four bytes. */
function address(port: number): Buffer {
  const bytes = Buffer.from('\0\t127.0.0.1    ');
  bytes.writeInt32BE(port, bytes.length - 4);
  return bytes;
}

/** Splits a stream into the messages of Kafka's protocol, each of which begins with the number of bytes that follow. */
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
