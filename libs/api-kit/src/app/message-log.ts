import { type ExecutionContext, Logger, type NestInterceptor } from '@nestjs/common';
import { lastValueFrom, of } from 'rxjs';
import { withLogContext } from './logging.js';

/** The part of a message handler's context that is logged. */
interface MessageContext {
  readonly message: { readonly id: string; readonly type: string; readonly key: string };
}

const logger = new Logger('Messages');

/**
 * Adds the id and type of the message, and its key as `orderId`, to every line that a message handler logs, and logs a line when the
 * handler has finished. The commit comes later; the inbox reports it if it fails.
 */
export const logMessages: NestInterceptor = {
  intercept(context: ExecutionContext, next) {
    const { id, type, key } = context.switchToRpc().getContext<MessageContext>().message;
    return withLogContext({ messageId: id, messageType: type, orderId: key }, async () => {
      const start = performance.now();
      const result: unknown = await lastValueFrom(next.handle(), { defaultValue: undefined });
      logger.log(`${type} was processed by its handler`, { durationMs: Math.round(performance.now() - start) });
      return of(result);
    });
  },
};
