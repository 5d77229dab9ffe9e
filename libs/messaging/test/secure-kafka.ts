export { SASL_PASSWORD, SASL_USER, type SecureKafka, startSecureKafka } from '@twinbox/tools/secure-kafka';
