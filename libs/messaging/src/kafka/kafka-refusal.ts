import { X509Certificate } from 'node:crypto';
import kafkajs from 'kafkajs';
import { REFUSED } from '../errors.js';

/** The fields of an error of Node's TLS, or of kafkajs. */
interface Fields {
  readonly code?: unknown;
  readonly type?: unknown;
  readonly message?: string;
  readonly cert?: { readonly subjectaltname?: string };
}

/** Thrown when a broker and this client cannot agree on how to connect, until one of them is configured differently. */
export class KafkaRefusal extends kafkajs.KafkaJSNonRetriableError {
  override readonly name = 'KafkaRefusal';
  readonly code = REFUSED;

  constructor(address: string, reason: string) {
    super(`Kafka at ${address} ${reason}`);
  }
}

/** A refusal by one broker. kafkajs tries the next one, because another one may have another certificate. */
export class BrokerRefusal extends kafkajs.KafkaJSConnectionError {
  constructor(address: string, reason: string) {
    super(`Kafka at ${address} ${reason}`, { broker: address, code: REFUSED });
  }
}

/** Describes why a TLS connection failed. Returns undefined if TLS was not the reason. */
export function tlsRefusal(error: unknown, clientCertificate: string | undefined): string | undefined {
  const { code, message = '', cert } = (error ?? {}) as Fields;
  const name = String(code);
  if (name === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return (
      `presents a certificate for other hosts (${cert?.subjectaltname ?? 'none'}). ` +
      'Connect by a name in the certificate, or have it issued for this one'
    );
  if (name === 'CERT_HAS_EXPIRED') return 'presents an expired certificate. Renew it';
  if (name === 'CERT_NOT_YET_VALID') return 'presents a certificate that is not valid yet. Compare the clocks';
  if (UNTRUSTED.test(name))
    return "presents a certificate of an authority that is not trusted. Configure the authority's certificate";
  if (CERTIFICATE_ALERT.test(`${name} ${message}`)) return certificateRefusal(clientCertificate);
  if (NO_TLS.test(`${name} ${message}`))
    return 'ended the TLS handshake. Its port probably does not use TLS: use another port, or turn off TLS';
  return name.startsWith('ERR_SSL_') ? `cannot negotiate TLS (${name}). Compare the versions and ciphers` : undefined;
}

const UNTRUSTED = /SELF_SIGNED|UNABLE_TO_|CERT_UNTRUSTED|CERT_SIGNATURE|CERT_REVOKED|INVALID_CA|CERT_CHAIN_TOO_LONG/;
const CERTIFICATE_ALERT =
  /ALERT[ _](BAD|UNSUPPORTED|UNKNOWN)?_?.*CERTIFICATE|ALERT[ _]UNKNOWN[ _]CA|ALERT[ _]HANDSHAKE/i;
const NO_TLS = /disconnected before secure TLS connection|WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/;

function certificateRefusal(own: string | undefined): string {
  if (own === undefined) return 'requires a client certificate. Configure a certificate and its key';
  const { validTo } = new X509Certificate(own);
  if (Date.parse(validTo) < Date.now())
    return `refuses the client certificate, which expired on ${new Date(validTo).toISOString()}. Renew it`;
  return 'refuses the client certificate. Use one of an authority that Kafka trusts';
}

/** A broker's answer to plain text on a port with TLS: an alert record (RFC 8446, section 5.1). */
export function isTlsAlert(chunk: Buffer): boolean {
  return chunk[0] === 0x15 && chunk[1] === 0x03;
}

/** Describes why a broker did not let this client authenticate. Returns undefined for any other error. */
export function saslRefusal(error: unknown, mechanism: string): string | undefined {
  const { type } = (error ?? {}) as Fields;
  if (type === 'UNSUPPORTED_SASL_MECHANISM')
    return `does not offer ${mechanism.toUpperCase()}. Use a mechanism that is enabled on this port`;
  if (type === 'ILLEGAL_SASL_STATE')
    return 'does not expect authentication on this port. Use the port of a listener with SASL, or turn off SASL';
  return undefined;
}
