// Runs the local OpenID provider of the compose profile auth until SIGTERM. Environment: OIDC_ISSUER, PORT, CONSOLE_URL.
import { startIdentityProvider } from './provider.js';

const {
  OIDC_ISSUER: issuer = 'http://localhost:8090',
  PORT = '8090',
  CONSOLE_URL = 'http://localhost:8080',
} = process.env;
const provider = await startIdentityProvider({ issuer, port: Number(PORT), host: '0.0.0.0', consoles: [CONSOLE_URL] });
console.log(`The OpenID provider ${issuer} listens on port ${PORT}.`);
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void provider.stop());
