/**
 * The variables that let a few callers send as many requests as a service can answer. For load generators and tests, which play many users
 * from one address; nothing else may run without rate limits.
 */
export const WITHOUT_RATE_LIMITS: Readonly<Record<string, string>> = {
  RATE_LIMIT_READS: 'off',
  RATE_LIMIT_WRITES: 'off',
  RATE_LIMIT_STREAMS: 'off',
  RATE_LIMIT_WEBHOOKS: 'off',
  RATE_LIMIT_REFUSED_LOGINS: 'off',
};

/**
 * The variables that let a service answer while the processor is overloaded. For tests, which run many processes at a time and
 * pause them.
 */
export const ON_A_BUSY_MACHINE: Readonly<Record<string, string>> = { MAX_EVENT_LOOP_DELAY: 'off' };
