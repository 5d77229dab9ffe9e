import { describeError, isRefused } from '../errors.js';
import { BrokerRefusal, isTlsAlert, KafkaRefusal, saslRefusal, tlsRefusal } from './kafka-refusal.js';

const anError = (code: string, message = '') => Object.assign(new Error(message), { code });

describe('a failed TLS connection', () => {
  it.each([
    ['SELF_SIGNED_CERT_IN_CHAIN', 'is not trusted'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'is not trusted'],
    ['CERT_HAS_EXPIRED', 'an expired certificate'],
    ['CERT_NOT_YET_VALID', 'not valid yet'],
    ['ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE', 'requires a client certificate'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'requires a client certificate'],
    ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'requires a client certificate'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'probably does not use TLS'],
    ['ERR_SSL_NO_SHARED_CIPHER', 'cannot negotiate TLS (ERR_SSL_NO_SHARED_CIPHER)'],
  ])('is described by its code %s', (code, words) => {
    expect(tlsRefusal(anError(code), undefined)).toContain(words);
  });

  it('names the hosts of a certificate for other ones', () => {
    const error = Object.assign(anError('ERR_TLS_CERT_ALTNAME_INVALID'), {
      cert: { subjectaltname: 'DNS:kafka.test' },
    });

    expect(tlsRefusal(error, undefined)).toContain('for other hosts (DNS:kafka.test)');
  });

  it('is recognised if the broker just ends it', () => {
    const error = anError(
      'ECONNRESET',
      'Client network socket disconnected before secure TLS connection was established',
    );

    expect(tlsRefusal(error, undefined)).toContain('probably does not use TLS');
  });

  it.each(['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT'])('is an outage with %s', (code) => {
    expect(tlsRefusal(anError(code, 'read'), undefined)).toBeUndefined();
  });
});

describe('a failed authentication', () => {
  it('is described by its type', () => {
    expect(saslRefusal({ type: 'UNSUPPORTED_SASL_MECHANISM' }, 'plain')).toContain('does not offer PLAIN');
    expect(saslRefusal({ type: 'ILLEGAL_SASL_STATE' }, 'plain')).toContain('does not expect authentication');
  });

  it('is an outage otherwise', () => {
    expect(saslRefusal({ type: 'COORDINATOR_LOAD_IN_PROGRESS' }, 'plain')).toBeUndefined();
    expect(saslRefusal(new Error('away'), 'plain')).toBeUndefined();
  });
});

describe('a refusal', () => {
  it.each([new KafkaRefusal('a:1', 'refuses'), new BrokerRefusal('a:1', 'refuses')])(
    'names the broker: %s',
    (error) => {
      expect(describeError(error)).toBe('Kafka at a:1 refuses');
      expect(isRefused(error)).toBe(true);
      expect(isRefused(new Error('wrapped', { cause: error }))).toBe(true);
    },
  );

  it('is not an outage', () => {
    expect(isRefused(new Error('away'))).toBe(false);
    expect(isRefused(undefined)).toBe(false);
  });
});

it('an alert is distinguished from an answer of Kafka by its first bytes', () => {
  expect(isTlsAlert(Buffer.from('15030300020250', 'hex'))).toBe(true);
  expect(isTlsAlert(Buffer.from('000001f400000001', 'hex'))).toBe(false);
});
