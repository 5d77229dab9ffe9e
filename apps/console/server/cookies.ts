import type { CookieSerializeOptions } from '@fastify/cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** The cookies of the console. With TLS their prefix keeps other hosts of the domain from setting them. */
export class Cookies {
  private readonly prefix: string;
  private readonly common: CookieSerializeOptions;

  constructor(secure: boolean) {
    this.prefix = secure ? '__Host-' : '';
    this.common = { path: '/', httpOnly: true, secure };
  }

  session({ cookies }: FastifyRequest): string | undefined {
    return cookies[this.nameOf('session')];
  }

  setSession(reply: FastifyReply, id: string): void {
    void reply.setCookie(this.nameOf('session'), id, { ...this.common, sameSite: 'strict' });
  }

  clearSession(reply: FastifyReply): void {
    void reply.clearCookie(this.nameOf('session'), { ...this.common, sameSite: 'strict' });
  }

  signIn({ cookies }: FastifyRequest): string | undefined {
    return cookies[this.nameOf('sign-in')];
  }

  /** Not strict, because the provider's page, which is of another site, sends the browser back. */
  setSignIn(reply: FastifyReply, value: string, seconds: number): void {
    void reply.setCookie(this.nameOf('sign-in'), value, { ...this.common, sameSite: 'lax', maxAge: seconds });
  }

  clearSignIn(reply: FastifyReply): void {
    void reply.clearCookie(this.nameOf('sign-in'), { ...this.common, sameSite: 'lax' });
  }

  private nameOf(purpose: 'session' | 'sign-in'): string {
    return `${this.prefix}twinbox-console-${purpose}`;
  }
}
