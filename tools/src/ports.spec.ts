import { createServer, type Server } from 'node:net';
import { answers, freePort, isFree, portFrom, steadyPorts } from './ports.js';

it.each([undefined, '', ' '])('takes the default for a port that is %p', (value) => {
  expect(portFrom({ ORDER_PORT: value }, 'ORDER_PORT', 8081)).toBe(8081);
});

it('takes the port that is set', () => {
  expect(portFrom({ ORDER_PORT: '65535' }, 'ORDER_PORT', 8081)).toBe(65_535);
});

it.each(['0', '65536', '-1', '80.5', '0x50', '8081a', 'http'])(
  'says which variable is wrong when its port is %p',
  (value) => {
    expect(() => portFrom({ ORDER_PORT: value }, 'ORDER_PORT', 8081)).toThrow(`ORDER_PORT is "${value}"`);
  },
);

it('finds different free ports that no connection is given', async () => {
  const ports = await steadyPorts(6);

  expect(new Set(ports).size).toBe(6);
  for (const port of ports) {
    expect(port).toBeGreaterThanOrEqual(20_000);
    expect(port).toBeLessThan(32_000);
    expect(await isFree(port)).toBe(true);
  }
});

it('passes over a port that is taken', async () => {
  const [port = 0] = await steadyPorts(1);
  const server = await new Promise<Server>((resolve) => {
    const listening = createServer().listen(port, '127.0.0.1', () => resolve(listening));
  });

  expect(await steadyPorts(2)).not.toContain(port);
  await new Promise((resolve) => server.close(resolve));
});

it('sees that a port is taken, and that it is free again', async () => {
  const port = await freePort();
  const server = await new Promise<Server>((resolve) => {
    const listening = createServer().listen(port, '127.0.0.1', () => resolve(listening));
  });

  expect([await isFree(port), await answers(port)]).toEqual([false, true]);
  await new Promise((resolve) => server.close(resolve));

  expect([await isFree(port), await answers(port)]).toEqual([true, false]);
});
