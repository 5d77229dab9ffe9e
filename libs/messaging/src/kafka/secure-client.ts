import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { type ISocketFactory, type KafkaConfig } from 'kafkajs';
import { REFUSED } from '../errors.js';
import { type KafkaSecurity, type KafkaTls } from '../kafka-security.js';
import { reveal } from '../secret.js';
import { AttemptGate } from './attempt-gate.js';
import { BrokerRefusal, isTlsAlert, tlsRefusal } from './kafka-refusal.js';
import { saslMechanism } from './kafkajs-sasl.js';

type SecureConfig = Pick<KafkaConfig, 'ssl' | 'sasl'> & { readonly socketFactory: ISocketFactory };

const KEEP_ALIVE_MS = 60_000;
const NONE: KafkaSecurity = {};
/** All clients with the same settings share their token and the limit of their attempts. */
const configs = new WeakMap<KafkaSecurity, SecureConfig>();
const gates = new WeakMap<ISocketFactory, AttemptGate>();

/** Returns the part of kafkajs's configuration with which connections are secured. */
export function secureConfig(security = NONE): SecureConfig {
  const known = configs.get(security);
  if (known) return known;
  const { tls, sasl } = security;
  const socketFactory: ISocketFactory = (target) => (tls ? tlsSocket(tls, target) : plainSocket(target));
  const config: SecureConfig = {
    ...(tls && { ssl: true }),
    ...(sasl && { sasl: saslMechanism(sasl) }),
    socketFactory,
  };
  configs.set(security, config);
  gates.set(socketFactory, new AttemptGate());
  return config;
}

/** Returns the gate of the clients whose sockets this creates. */
export function gateOf(socketFactory: ISocketFactory): AttemptGate | undefined {
  return gates.get(socketFactory);
}

type Target = Parameters<ISocketFactory>[0];

function tlsSocket(tls: KafkaTls, { host, port, onConnect }: Target): Socket {
  const { cert, ...options } = tlsOptions(tls);
  const socket = connectTls(
    // NODE_TLS_REJECT_UNAUTHORIZED=0 must not turn the verification off.
    {
      rejectUnauthorized: true,
      ...options,
      ...(cert !== undefined && { cert }),
      host,
      port,
      ...(isIP(host) === 0 && { servername: host }),
    },
    onConnect,
  );
  // Listens before kafkajs does, which passes on only the text and the code.
  socket.on('error', (error: NodeJS.ErrnoException) => {
    const reason = tlsRefusal(error, cert);
    if (reason === undefined) return;
    const refusal = new BrokerRefusal(`${host}:${port}`, reason);
    Object.assign(error, { message: refusal.message, code: REFUSED });
  });
  return socket.setKeepAlive(true, KEEP_ALIVE_MS);
}

/** Reads the settings anew, because a certificate may have been renewed. */
function tlsOptions({ ca, cert, key }: KafkaTls): ConnectionOptions & { readonly cert?: string } {
  return {
    ...(ca !== undefined && { ca: reveal(ca) }),
    ...(cert !== undefined && { cert: reveal(cert) }),
    ...(key !== undefined && { key: reveal(key) }),
  };
}

function plainSocket({ host, port, onConnect }: Target): Socket {
  const socket = connectPlain({ host, port }, onConnect);
  socket.once('data', (chunk) => {
    if (!isTlsAlert(chunk)) return;
    socket.emit('error', new BrokerRefusal(`${host}:${port}`, 'expects TLS on this port. Turn on TLS'));
    socket.destroy();
  });
  return socket.setKeepAlive(true, KEEP_ALIVE_MS);
}
