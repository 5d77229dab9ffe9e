import { PermanentError } from '@twinbox/messaging';
import { reveal, type Secret } from '@twinbox/messaging/session-client';
import { createTransport, type NodemailerError, type SendMailOptions } from 'nodemailer';

export interface MailServer {
  /** `smtp://user:password@host:port`, or `smtps://…`. */
  readonly url: Secret;
  readonly requiresTls: boolean;
  readonly ca: Secret | undefined;
}

const TIMEOUT_MS = 10_000;

type Pool = ReturnType<typeof connectTo>;

/** Sends mails over a pool of connections, which is replaced when mails fail and the password or the authorities have changed. */
export class MailTransport {
  private pool: Pool;

  constructor(private readonly server: MailServer) {
    this.pool = connectTo(server);
  }

  /** Throws a PermanentError if the server rejects the mail itself. */
  async send(mail: SendMailOptions): Promise<void> {
    const { pool } = this;
    try {
      await deliver(pool, mail);
    } catch (error) {
      if (error instanceof PermanentError || !this.replaces(pool)) throw error;
      await deliver(this.pool, mail);
    }
  }

  close(): void {
    this.pool.transport.close();
  }

  private replaces(failed: Pool): boolean {
    if (this.pool !== failed) return true;
    const newer = connectTo(this.server);
    if (newer.url === failed.url && newer.ca === failed.ca) {
      newer.transport.close();
      return false;
    }
    this.pool = newer;
    failed.transport.close();
    return true;
  }
}

function connectTo({ url: secretUrl, requiresTls, ca: secretCa }: MailServer) {
  const url = reveal(secretUrl);
  const ca = secretCa && reveal(secretCa);
  const transport = createTransport({
    pool: true,
    url,
    requireTLS: requiresTls,
    tls: { ca },
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
  });
  return { url, ca, transport };
}

async function deliver({ transport }: Pool, mail: SendMailOptions): Promise<void> {
  try {
    await transport.sendMail(mail);
  } catch (error) {
    const { code, command, responseCode = 0 } = error as NodemailerError;
    if (code === 'ETLS' && command === 'STARTTLS' && responseCode > 0)
      throw new Error('the mail server offers no STARTTLS, which SMTP_TLS=required needs', { cause: error });
    // RFC 5321, section 4.2.1: 5yz is permanent. Other 5yz codes may be about our login instead of this message.
    if (responseCode >= 550 && responseCode < 560)
      throw new PermanentError('the mail server rejected the message', { cause: error });
    throw error;
  }
}
