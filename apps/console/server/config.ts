import { EnvInt } from '@twinbox/api-kit/edge';
import { IsNotEmpty, IsString } from 'class-validator';

/** The environment variables of the console's server. */
export class ConsoleConfig {
  /** The address to listen on. The default is loopback because `AUTH_MODE=dev` trusts every caller. */
  @IsString()
  @IsNotEmpty()
  HOST = '127.0.0.1';

  /** The port to listen on. 0 picks any free port. */
  @EnvInt(0, 65_535)
  PORT = 8080;
}
