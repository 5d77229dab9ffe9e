import type { Metadata, ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import proxyAddr from '@fastify/proxy-addr';
import { requestIdOf } from '../app/logging.js';
import type { LimitsConfig } from '../app/limits-config.js';
import { type AnswerHeaders, type EdgeRequest } from '../http/edge-request.js';
import { trustedProxies } from '../http/limits/client-address.js';

/** A method of a service definition. */
export interface RpcMethod {
  readonly path: string;
  readonly responseStream: boolean;
  readonly requestSerialize: (message: unknown) => Buffer;
}

/** A call of a method that takes one message. */
export type Call = ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>;

/** The metadata of the answer to a call, which is sent with its first message or its error. */
export class CallMetadata implements AnswerHeaders {
  constructor(private readonly metadata: Metadata) {}

  header(name: string, value: string): void {
    this.metadata.set(name, value);
  }
}

/** Finds out the client's address from the connection and `x-forwarded-for`, as far as TRUST_PROXY allows. */
export function addressOfCalls({ TRUST_PROXY }: Pick<LimitsConfig, 'TRUST_PROXY'>): (call: Call) => Address {
  const proxies = trustedProxies(TRUST_PROXY) || [];
  const isTrusted = Array.isArray(proxies) ? proxyAddr.compile(proxies) : proxies;
  return (call) => {
    const remoteAddress = hostIn(call.getPeer());
    const headers = { 'x-forwarded-for': call.metadata.get('x-forwarded-for').join(',') || undefined };
    const request = { socket: { remoteAddress }, headers } as unknown as Parameters<typeof proxyAddr>[0];
    return { ip: proxyAddr(request, isTrusted), remoteAddress };
  };
}

interface Address {
  readonly ip: string;
  readonly remoteAddress: string;
}

/** Returns the address in `192.0.2.7:41234` or `[2001:db8::7]:41234`, with a leading `ipv4:` or `ipv6:` if there is one. */
function hostIn(peer: string): string {
  const [, inBrackets, plain = peer] = /^(?:ipv[46]:)?(?:\[([^\]]+)\]|(.*?)):\d+$/.exec(peer) ?? [];
  return inBrackets ?? plain;
}

/** Describes a gRPC call as a request. */
export function requestOfCall(
  call: Call,
  { path, requestSerialize }: RpcMethod,
  { ip, remoteAddress }: Address,
): EdgeRequest {
  const headersDistinct: NodeJS.Dict<string[]> = {};
  for (const name of Object.keys(call.metadata.getMap()))
    headersDistinct[name] = call.metadata.get(name).filter((value) => typeof value === 'string');
  const [id] = headersDistinct['x-request-id'] ?? [];
  return {
    id: requestIdOf({ headers: { 'x-request-id': id } }),
    method: 'gRPC',
    url: path,
    routeOptions: { url: path },
    params: {},
    // Encoded, because a replica of another version knows other fields. Those that are not set are not encoded.
    get body() {
      return requestSerialize(call.request).toString('base64');
    },
    ip,
    socket: { remoteAddress },
    raw: { headersDistinct },
  };
}
