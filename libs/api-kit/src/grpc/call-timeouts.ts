import { constants, type ServerHttp2Stream } from 'node:http2';
import {
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerInterceptingCall,
  type ServerMethodDefinition,
} from '@grpc/grpc-js';
import type { LimitsConfig } from '../app/limits-config.js';
import type { ServiceConfig } from '../app/service-config.js';

/** A call at the end of the chain of interceptors. grpc-js does not declare its stream. */
type BaseCall = ServerInterceptingCallInterface & { readonly stream?: ServerHttp2Stream };

/**
 * Ends a call whose message does not arrive within REQUEST_TIMEOUT, and one whose answer is not read within RESPONSE_TIMEOUT, because the
 * message and the answer are kept in memory. A server stream is sent at the pace of its reader, so it has no limit.
 */
export function callTimeouts({
  REQUEST_TIMEOUT,
  RESPONSE_TIMEOUT,
}: Pick<ServiceConfig & LimitsConfig, 'REQUEST_TIMEOUT' | 'RESPONSE_TIMEOUT'>): ServerInterceptor {
  return ({ responseStream }: ServerMethodDefinition<unknown, unknown>, call: BaseCall) => {
    const { stream } = call;
    if (!stream) throw new Error('This version of grpc-js is not supported, because its calls have no stream.');
    const endAfter = (timeoutMs: number): NodeJS.Timeout => {
      const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), timeoutMs);
      stream.once('close', () => clearTimeout(timer));
      return timer;
    };
    return new ServerInterceptingCall(call, {
      start(next) {
        const arrival = endAfter(REQUEST_TIMEOUT);
        next({
          onReceiveHalfClose(proceed) {
            clearTimeout(arrival);
            proceed();
          },
        });
      },
      sendMessage(message, next) {
        if (!responseStream) endAfter(RESPONSE_TIMEOUT);
        next(message);
      },
    });
  };
}
