import { type TokenIssuer } from '@twinbox/api-kit/testing';
import { TokenKeys, TokenVerifier } from '@twinbox/api-kit/tokens';
import { type Figure } from '../support/figures.js';

const REPEATS = 300;

/** Measures the CPU time for a token that is seen for the first time, and for one that is remembered. */
export async function costOfToken(issuer: TokenIssuer, tokens: readonly string[]): Promise<Figure[]> {
  const keys = new TokenKeys({ issuer: issuer.url, requiresHttps: false, refreshMs: 600_000, cooldownMs: 30_000 });
  const verifier = new TokenVerifier(keys, {
    issuer: issuer.url,
    audience: ['twinbox'],
    type: 'at+jwt',
    algorithms: ['RS256'],
    toleranceMs: 0,
    userClaim: 'sub',
    rolesClaim: 'roles',
    roleMap: [['customer', 'customer']],
  });
  keys.start();
  try {
    // Loads the keys.
    await verifier.identify(await issuer.token());
    const identifyAll = async () => {
      for (const token of tokens) if (!('caller' in (await verifier.identify(token)))) throw new Error('refused');
    };
    const first = await cpuUsOf(identifyAll);
    await identifyAll();
    const remembered = await cpuUsOf(async () => {
      for (let n = 0; n < REPEATS; n++) await identifyAll();
    });
    return [
      { what: 'CPU µs for a new token (RS256)', value: (first / tokens.length).toFixed(1) },
      {
        what: 'CPU µs for a token that is remembered',
        value: (remembered / tokens.length / REPEATS).toFixed(1),
        goal: '≤ 5',
      },
    ];
  } finally {
    keys.stop();
  }
}

async function cpuUsOf(run: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
