import { once } from 'node:events';
import { type AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

/** A mail server that can fail. */
export class MailServer {
  /** How it answers: it accepts a mail, rejects its mailbox for good, or keeps the client waiting. */
  mode: 'accepts' | 'rejects' | 'hangs' = 'accepts';
  /** The recipients of the accepted mails. */
  readonly accepted: string[] = [];
  private waiting: (() => void)[] = [];
  private readonly server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    onRcptTo: ({ address }, _, done) => {
      const answer = () => {
        if (this.mode === 'rejects') return done(Object.assign(new Error('no such mailbox'), { responseCode: 550 }));
        this.accepted.push(address);
        done();
      };
      if (this.mode === 'hangs') this.waiting.push(answer);
      else answer();
    },
    onData: (stream, _, done) => stream.on('end', () => done()).resume(),
  });

  async listen(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server.server, 'listening');
    return `smtp://127.0.0.1:${(this.server.server.address() as AddressInfo).port}`;
  }

  /** Accepts mails again, also those of clients that wait. */
  recover(): void {
    this.mode = 'accepts';
    for (const answer of this.waiting.splice(0)) answer();
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}
