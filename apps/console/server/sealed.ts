import { randomBytes } from 'node:crypto';
import { EncryptJWT, jwtDecrypt } from 'jose';

/**
 * Encrypts values for a cookie, so that a browser can keep them but neither read nor change them. The key is new with each start of the
 * process.
 */
export class Sealer<T extends object> {
  private readonly key = randomBytes(32);

  constructor(private readonly seconds: number) {}

  async seal(value: T): Promise<string> {
    return await new EncryptJWT({ value })
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .setExpirationTime(`${this.seconds} s`)
      .encrypt(this.key);
  }

  /** Returns undefined for a value that this process has not sealed, or that has expired. */
  async open(sealed: string | undefined): Promise<T | undefined> {
    if (sealed === undefined) return undefined;
    const opened = await jwtDecrypt(sealed, this.key).catch(() => undefined);
    return opened?.payload['value'] as T | undefined;
  }
}
