import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { until } from '@twinbox/messaging/testing';
import { type Authority, createAuthority } from './certificates.js';
import { FaultProxy, type ProxyTls } from './fault-proxy.js';

let server: Server;
let received: string;
const sockets = new Set<Socket>();
const open: FaultProxy[] = [];

/** Starts a server that answers each request with the result of `answer`. */
async function aServer(answer: (request: Buffer) => Buffer): Promise<number> {
  received = '';
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (request: Buffer) => {
      received += request.toString();
      socket.write(answer(request));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function aLink(...args: Parameters<typeof FaultProxy.open>): Promise<FaultProxy> {
  const link = await FaultProxy.open(...args);
  open.push(link);
  return link;
}

/** Connects through the link, and collects the answers. */
async function aClient(link: FaultProxy) {
  const socket = connect(link.port, '127.0.0.1');
  sockets.add(socket);
  const client = { socket, answers: Buffer.alloc(0), error: '' };
  socket.on('data', (chunk: Buffer) => (client.answers = Buffer.concat([client.answers, chunk])));
  socket.on('error', (error: NodeJS.ErrnoException) => (client.error = error.code ?? ''));
  await until('the client is connected or refused', () => !socket.connecting);
  return client;
}

const answered = (client: { answers: Buffer }, text: string) =>
  until(`the answer is ${text}`, () => client.answers.toString() === text);

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await Promise.all(open.splice(0).map((link) => link.close()));
  server.close();
});

const upperCase = (request: Buffer) => Buffer.from(request.toString().toUpperCase());

it('an open link passes on requests, answers and the end of a connection', async () => {
  const link = await aLink(await aServer(upperCase));
  const client = await aClient(link);

  client.socket.end('hello');

  await answered(client, 'HELLO');
  await until('the server has received the end', () => [...sockets].every((socket) => socket.readableEnded));
  expect(link.accepted).toBe(1);
});

it('a cut link resets existing and new connections until it is healed', async () => {
  const link = await aLink(await aServer(upperCase));
  const before = await aClient(link);
  before.socket.write('a');
  await answered(before, 'A');

  link.cut();
  await until('the connection is reset', () => before.error === 'ECONNRESET');
  const meanwhile = await aClient(link);
  await until('the new connection is reset too', () => meanwhile.socket.destroyed);
  link.heal();

  const after = await aClient(link);
  after.socket.write('b');
  await answered(after, 'B');
});

it('a link that is pointed at another server resets its connections and leads new ones there', async () => {
  const first = await aServer(upperCase);
  const before = server;
  const link = await aLink(first);
  const lost = await aClient(link);
  lost.socket.write('a');
  await answered(lost, 'A');
  const second = await aServer((request) => Buffer.from(`second ${request.toString()}`));

  link.pointAt(second);

  await until('the connection is reset', () => lost.error === 'ECONNRESET');
  const client = await aClient(link);
  client.socket.write('b');
  await answered(client, 'second b');
  before.close();
});

it('a silent link delivers nothing and resets nothing, and delivers everything once it is healed', async () => {
  const link = await aLink(await aServer(upperCase));
  const before = await aClient(link);
  before.socket.write('a');
  await answered(before, 'A');

  link.silence();
  before.socket.write('b');
  const meanwhile = await aClient(link);
  meanwhile.socket.write('c');
  // An open link passes on two round trips in the meantime.
  const beside = await aClient(await aLink((server.address() as AddressInfo).port));
  for (const text of ['X', 'XX']) {
    beside.socket.write('x');
    await answered(beside, text);
  }
  expect([received, before.error, meanwhile.error]).toEqual(['axx', '', '']);
  link.heal();

  await answered(before, 'AB');
  await answered(meanwhile, 'C');
});

it('a swallowing link passes on requests but drops the answers, and resets those connections once it is healed', async () => {
  const link = await aLink(await aServer(upperCase));
  const client = await aClient(link);
  const idle = await aClient(link);

  link.swallow();
  client.socket.write('pay');
  await until('the server has received the request', () => received === 'pay');
  link.heal();

  await until('the connection is lost', () => client.error === 'ECONNRESET');
  expect(client.answers.toString()).toBe('');
  expect(link.lost).toBe(1);
  idle.socket.write('b');
  await answered(idle, 'B');
});

it('a slow link delays each direction and keeps the order, even after it is healed', async () => {
  const link = await aLink(await aServer(upperCase));
  const client = await aClient(link);

  link.slow(60);
  const sentAt = performance.now();
  client.socket.write('a');
  await answered(client, 'A');
  expect(performance.now() - sentAt).toBeGreaterThanOrEqual(120);
  client.socket.write('b');
  await until('the server has received the request', () => received === 'ab');
  link.heal();
  client.socket.write('c');

  await answered(client, 'ABC');
});

it('replaces the address of the server in answers by its own, and changes nothing else', async () => {
  const address = (port: number) =>
    Buffer.concat([Buffer.from('127.0.0.1'), Buffer.from(new Int32Array([port]).buffer).swap32()]);
  const frame = (...parts: Buffer[]) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(Buffer.concat(parts).length);
    return Buffer.concat([length, ...parts]);
  };
  const metadata = (port: number) =>
    Buffer.concat([frame(Buffer.from('broker'), address(port), address(9)), frame(address(port))]);
  const port = await aServer(() => metadata(port));
  const link = await aLink(port, { advertises: true });
  const client = await aClient(link);

  client.socket.write('?');

  await until('the answer has arrived', () => client.answers.length === metadata(0).length);
  expect(client.answers).toEqual(metadata(link.port));
});

it('replaces the addresses of all brokers of a cluster by those of their proxies', async () => {
  const frame = (...ports: number[]) => {
    const addresses = ports.map((port) =>
      Buffer.concat([Buffer.from('127.0.0.1'), Buffer.from(new Int32Array([port]).buffer).swap32()]),
    );
    const length = Buffer.alloc(4);
    length.writeInt32BE(Buffer.concat(addresses).length);
    return Buffer.concat([length, ...addresses]);
  };
  // The second broker is a closed port: nothing connects to it here.
  const other = 9;
  const port = await aServer(() => frame(port, other, other + 1));
  const links = await FaultProxy.openAll([port, other]);
  open.push(...links);
  const [link, otherLink] = links as [FaultProxy, FaultProxy];
  const client = await aClient(link);

  client.socket.write('?');

  await until('the answer has arrived', () => client.answers.length === frame(0, 0, 0).length);
  expect(client.answers).toEqual(frame(link.port, otherLink.port, other + 1));
});

it('waits for the rest of an answer that arrives in pieces', async () => {
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 13]), Buffer.from('127.0.0.1'), Buffer.alloc(4)]);
  const port = await aServer((request) => frame.subarray(...(String(request) === '1' ? [0, 9] : [9])));
  frame.writeInt32BE(port, 13);
  const link = await aLink(port, { advertises: true });
  const client = await aClient(link);

  client.socket.write('1');
  await until('the first piece is sent', () => received === '1');
  client.socket.write('2');

  await until('the answer has arrived', () => client.answers.length === frame.length);
  expect(client.answers.readInt32BE(13)).toBe(link.port);
});

describe('with TLS', () => {
  let directory: string;
  let authority: Authority;
  let tls: ProxyTls;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'proxy-'));
    authority = await createAuthority(directory);
    tls = await certificateFor('IP:127.0.0.1');
  });
  afterAll(() => rm(directory, { recursive: true }));

  async function certificateFor(hosts: string): Promise<ProxyTls> {
    const { certFile, keyFile } = await authority.issue({ name: 'server', hosts });
    const [cert, key, ca] = await Promise.all(
      [certFile, keyFile, authority.caFile].map((file) => readFile(file, 'utf8')),
    );
    return { cert: cert ?? '', key: key ?? '', ca: ca ?? '' };
  }

  /** Starts a server with TLS that answers each request with its own address, and a link to it. */
  async function aSecureLink(certificate: ProxyTls): Promise<FaultProxy> {
    server = createTlsServer(certificate, (socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('data', (request: Buffer) => {
        received += request.toString();
        socket.write(request);
      });
    }).listen(0, '127.0.0.1');
    received = '';
    await once(server, 'listening');
    return aLink((server.address() as AddressInfo).port, { tls });
  }

  it('reads what is sent, proves its own name, and can be cut', async () => {
    const link = await aSecureLink(tls);
    const client = connectTls({ port: link.port, host: '127.0.0.1', ca: tls.ca });
    sockets.add(client);
    const closed = once(client, 'close');
    client.on('error', () => undefined);

    client.write('hello');
    const [answer] = (await once(client, 'data')) as [Buffer];

    expect(answer.toString()).toBe('hello');
    expect(received).toBe('hello');
    link.cut();
    await closed;
  });

  it('P10 passes nothing on to a server that cannot prove its name', async () => {
    const link = await aSecureLink(await certificateFor('DNS:another.example'));
    const client = connectTls({ port: link.port, host: '127.0.0.1', ca: tls.ca });
    sockets.add(client);
    client.on('error', () => undefined);

    client.write('hello');
    await once(client, 'close');

    expect(received).toBe('');
  });
});
