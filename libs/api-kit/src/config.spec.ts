import { ConfigError, EnvInt, loadConfig, ServiceConfig } from './config.js';

class ShopConfig extends ServiceConfig {
  override PORT = 8081;

  @EnvInt(1, 60)
  RETRY_MINUTES = 5;
}

class PortlessConfig extends ServiceConfig {}

const needed = { DATABASE_URL: 'postgres://shop:s3cret@db:5432/shop', KAFKA_BROKERS: 'kafka:9092' };

function problemsOf(env: Record<string, string>, cls: new () => ServiceConfig = ShopConfig): readonly string[] {
  try {
    loadConfig(cls, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  it('takes defaults for what is unset or empty, and converts what is set', () => {
    const config = loadConfig(ShopConfig, { ...needed, KAFKA_BROKERS: ' a:1, [::1]:9092 ,', PORT: '0', HOST: ' ' });

    expect(config).toBeInstanceOf(ShopConfig);
    expect(config).toMatchObject({ HOST: '127.0.0.1', PORT: 0, KAFKA_BROKERS: ['a:1', '[::1]:9092'] });
    expect(config).toMatchObject({ RETRY_MINUTES: 5, LOG_LEVEL: 'info', LOG_FORMAT: 'auto', AUTH_MODE: 'dev' });
  });

  it('lets nothing else of the environment in', () => {
    const config = loadConfig(ShopConfig, { ...needed, PATH: '/bin', constructor: 'x', __proto__: 'y' });

    expect(Object.keys(config)).not.toContain('PATH');
    expect(config).toBeInstanceOf(ShopConfig);
  });

  it('names every problem at once: variable, value and what is allowed', () => {
    const problems = problemsOf({ PORT: '80x', LOG_LEVEL: 'loud', KAFKA_BROKERS: 'kafka', RETRY_MINUTES: '61' });

    expect([...problems].sort()).toEqual([
      'DATABASE_URL is not set: it must be a URL such as postgres://user:password@127.0.0.1:5432/database.',
      'KAFKA_BROKERS="kafka": it must be a list such as 127.0.0.1:9092,127.0.0.1:9094.',
      'LOG_LEVEL="loud": it must be fatal, error, warn, info, debug or trace.',
      'PORT="80x": it must be a whole number from 0 to 65535.',
      'RETRY_MINUTES="61": it must be a whole number from 1 to 60.',
    ]);
  });

  it.each(['-1', '65536', '1e3', '0x50', '8081.5', 'NaN'])('refuses PORT=%s', (PORT) => {
    expect(problemsOf({ ...needed, PORT })).toHaveLength(1);
  });

  it('reads the origins of web pages, and refuses what is none', () => {
    const CORS_ORIGINS = 'http://localhost:3000, https://shop.example';

    expect(loadConfig(ShopConfig, { ...needed, CORS_ORIGINS }).CORS_ORIGINS).toEqual(CORS_ORIGINS.split(', '));
    for (const wrong of ['*', 'shop.example', 'https://shop.example/'])
      expect(problemsOf({ ...needed, CORS_ORIGINS: wrong })).toHaveLength(1);
  });

  it('asks for PORT when a service gives it no default', () => {
    expect(problemsOf(needed, PortlessConfig)).toEqual(['PORT is not set: it must be a whole number from 0 to 65535.']);
  });

  it('P10 shows no password of a wrong DATABASE_URL', () => {
    for (const DATABASE_URL of [
      'mysql://shop:s3cret@db/shop',
      'postgres://shop:s3cret@db:5432',
      'postgres://shop@db?password=s3cret',
      'shop:s3cret@db/shop',
      's3cret',
    ]) {
      const [problem] = problemsOf({ ...needed, DATABASE_URL });

      expect(problem).toMatch(/^DATABASE_URL="/);
      expect(problem).not.toContain('s3cret');
    }
  });

  it('accepts a database behind a Unix socket', () => {
    expect(problemsOf({ ...needed, DATABASE_URL: 'postgres:///shop?host=/run/postgresql' })).toEqual([]);
  });

  it('P10 refuses to trust headers in production', () => {
    expect(problemsOf({ ...needed, NODE_ENV: 'production' })).toEqual([
      expect.stringContaining('AUTH_MODE="dev": it trusts whoever calls'),
    ]);
  });
});
