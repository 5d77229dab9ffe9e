import { createServer, type Server } from 'node:net';
import { acceptsConnections, freePort, isFree, portFrom, steadyPorts } from './ports.js';

it.each([undefined, '', ' '])('falls back to the default when the port is %p', (value) => {
  expect(portFrom({ ORDER_PORT: value }, 'ORDER_PORT', 8081)).toBe(8081);
});

it('uses the port that is set', () => {
  expect(portFrom({ ORDER_PORT: '65535' }, 'ORDER_PORT', 8081)).toBe(65_535);
});

it.each(['0', '65536', '-1', '80.5', '0x50', '8081a', 'http'])(
  'names the invalid variable when its port is %p',
  (value) => {
    expect(() => portFrom({ ORDER_PORT: value }, 'ORDER_PORT', 8081)).toThrow(`ORDER_PORT is "${value}"`);
  },
);

it('finds distinct free ports outside the ephemeral range', async () => {
  const ports = await steadyPorts(6);

  expect(new Set(ports).size).toBe(6);
  for (const port of ports) {
    expect(port).toBeGreaterThanOrEqual(20_000);
    expect(port).toBeLessThan(32_000);
    expect(await isFree(port)).toBe(true);
  }
});

it('never returns a port twice, even to concurrent callers', async () => {
  const [begin] = (await steadyPorts(1)) as [number];

  const lists = await Promise.all([1, 2, 3].map(() => steadyPorts(50, begin - 20_000)));

  expect(new Set(lists.flat()).size).toBe(150);
});

it('skips a port that is in use', async () => {
  const server = createServer();
  let port = 26_000;
  while (!server.listening) {
    await new Promise<void>((resolve) => {
      server.once('error', () => resolve());
      server.listen(++port, '127.0.0.1', resolve);
    });
  }

  expect(await steadyPorts(2, port - 20_000)).not.toContain(port);
  await new Promise((resolve) => server.close(resolve));
});

it('detects that a port is in use, and that it is free again', async () => {
  const port = await freePort();
  const server = await new Promise<Server>((resolve) => {
    const listening = createServer().listen(port, '127.0.0.1', () => resolve(listening));
  });

  expect([await isFree(port), await acceptsConnections(port)]).toEqual([false, true]);
  await new Promise((resolve) => server.close(resolve));

  expect([await isFree(port), await acceptsConnections(port)]).toEqual([true, false]);
});
