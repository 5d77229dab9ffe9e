import type { IncomingMessage } from 'node:http';
import { hostCheck } from './host-check.js';
import { isLoopback } from './loopback.js';

const request = (headers: Record<string, string[]>, url = '/orders') =>
  ({ url, headersDistinct: headers }) as unknown as IncomingMessage;

const isForUs = hostCheck(['order-service', 'Shop.Example.', '192.0.2.7', '2001:db8::1']);
const host = (...hosts: string[]) => isForUs(request({ host: hosts }));

describe('P10 with AUTH_MODE=dev', () => {
  it.each([
    'localhost',
    'localhost:8081',
    'localhost:',
    'LocalHost:1',
    'localhost.',
    'localhost.:8081',
    'shop.localhost:3000',
    '127.0.0.1',
    '127.0.0.1:8081',
    '127.8.9.10:80',
    '127.1:8081',
    '[::1]',
    '[::1]:8081',
    '[0:0:0:0:0:0:0:1]:8081',
    '[::ffff:127.0.0.1]:8081',
    'order-service:8081',
    'ORDER-SERVICE.',
    'shop.example',
    '192.0.2.7:99',
    '[2001:DB8:0::1]:8081',
  ])('a request for %s is answered', (name) => {
    expect(host(name)).toBe(true);
  });

  it.each([
    'evil.example',
    'evil.example:8081',
    'localhost.evil.example',
    'evil-localhost',
    'xlocalhost:8081',
    'localhost..',
    '127.0.0.1.evil.example',
    '127.0.0.1.nip.io',
    '128.0.0.1',
    '0.0.0.0:8081',
    '[::]:8081',
    '[::2]',
    '192.0.2.8',
    'order-service.evil.example',
    'localhost@evil.example',
    'evil.example/localhost',
    'localhost, evil.example',
    'localhost:80:80',
    '%6cocalhost',
    '::1',
    '[::1',
    ':8081',
    ' ',
    '',
  ])('a request for %j is rejected', (name) => {
    expect(host(name)).toBe(false);
  });

  it('a request that names no host, or two hosts, is rejected', () => {
    expect(isForUs(request({}))).toBe(false);
    expect(host('localhost', 'localhost')).toBe(false);
  });

  it('the host that a proxy reports does not count', () => {
    const forwarded = { 'x-forwarded-host': ['localhost'], forwarded: ['host=localhost'] };

    expect(isForUs(request({ host: ['evil.example'], ...forwarded }))).toBe(false);
    expect(isForUs(request({ host: ['localhost'], 'x-forwarded-host': ['evil.example'] }))).toBe(true);
  });

  it('a target in absolute form counts as well', () => {
    expect(isForUs(request({ host: ['localhost'] }, 'http://evil.example/orders'))).toBe(false);
    expect(isForUs(request({ host: ['localhost'] }, 'HTTP://localhost:8081/orders'))).toBe(true);
  });

  it('no hosts except loopback are allowed unless they are listed', () => {
    const strict = hostCheck([]);

    expect(strict(request({ host: ['order-service'] }))).toBe(false);
    expect(strict(request({ host: ['localhost'] }))).toBe(true);
  });
});

it.each([
  ['127.0.0.1', true],
  ['127.255.255.254', true],
  ['::1', true],
  ['0:0:0:0:0:0:0:1', true],
  ['::ffff:127.0.0.1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['192.168.1.5', false],
  ['shop.example', false],
  ['', false],
])('%s is a loopback host: %s', (address, expected) => {
  expect(isLoopback(address)).toBe(expected);
});
