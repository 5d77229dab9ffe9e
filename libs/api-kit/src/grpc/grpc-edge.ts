import { Metadata, type sendUnaryData, type ServerWritableStream, status as codes } from '@grpc/grpc-js';
import { HttpException, Logger } from '@nestjs/common';
import { callAt } from '../app/call-at.js';
import { logCall } from '../app/logging.js';
import { RequestAborted, withRequestSignal } from '../app/request-signal.js';
import type { ServiceConfig } from '../app/service-config.js';
import { callerIn, identityOf, setIdentity } from '../http/caller.js';
import { commonProblems, serviceStopping } from '../http/common-problems.js';
import { type EdgeRequest, setRequestOf } from '../http/edge-request.js';
import { MAX_HEAD_SIZE } from '../http/framing.js';
import { foreignHostProblem } from '../http/host-check.js';
import type { CountedCall, RateLimits } from '../http/limits/rate-limits.js';
import { problemFor } from '../http/problem-for.js';
import { ProblemException, problemOf } from '../http/problem.js';
import { validationProblem } from '../http/validation-problem.js';
import type { Identify } from '../identity/identify-callers.js';
import { type GrpcError, grpcErrorOf } from './grpc-error.js';
import type { RpcCalls } from './rpc-calls.js';
import { traceCall } from './call-span.js';
import { ResponseStream, setStreamOf } from './response-stream.js';
import { addressOfCalls, type Call, CallMetadata, requestOfCall, type RpcMethod } from './rpc-request.js';
import { Undecodable } from './undecodable.js';

/** What the HTTP edge has set up, and gRPC calls go through too. */
export interface EdgeParts {
  readonly identify: Identify;
  readonly rates: RateLimits;
  /** @throws ProblemException 503 while this replica has more to do than it can */
  readonly refuseIfOverloaded: () => void;
  readonly calls: RpcCalls;
}

type Serve = (call: Call, callback?: sendUnaryData<unknown>) => unknown;

/** Does for each gRPC call what hooks do for each HTTP request, then calls its handler. */
export class GrpcEdge {
  private readonly logger = new Logger('Problem');
  private readonly addressOf: ReturnType<typeof addressOfCalls>;
  private readonly foreignHost: ReturnType<typeof foreignHostProblem> | undefined;
  private readonly streams = new Map<ResponseStream<unknown>, EdgeRequest>();
  private isClosing = false;
  private listening: string | undefined;

  constructor(
    private readonly parts: EdgeParts,
    config: ServiceConfig,
  ) {
    this.addressOf = addressOfCalls(config);
    this.foreignHost = config.AUTH_MODE === 'dev' ? foreignHostProblem(config.ALLOWED_HOSTS) : undefined;
  }

  get calls(): RpcCalls {
    return this.parts.calls;
  }

  /** The address on which calls are answered, such as `127.0.0.1:50051`. Undefined if there is none. */
  get address(): string | undefined {
    return this.listening;
  }

  /** Records the address. */
  listensOn(host: string, port: number): void {
    this.listening = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  }

  /** Serves a call of the method. `serve` is the handler with its guards and pipes. */
  handle(method: RpcMethod, call: Call, callback: sendUnaryData<unknown> | undefined, serve: Serve): void {
    const request = requestOfCall(call, method, this.addressOf(call));
    const metadata = new Metadata();
    metadata.set('x-request-id', request.id);
    setRequestOf(call, Object.assign(request, { answer: new CallMetadata(metadata) }));
    traceCall(method, call, (traced) => this.serveTraced(method, call, request, metadata, { callback, serve, traced }));
  }

  private serveTraced(
    method: RpcMethod,
    call: Call,
    request: EdgeRequest,
    metadata: Metadata,
    {
      callback,
      serve,
      traced,
    }: { callback: sendUnaryData<unknown> | undefined; serve: Serve; traced: (code: codes) => void },
  ): void {
    logCall(request, (finished) => {
      const start = performance.now();
      let isFinished = false;
      const finish = (code: codes): void => {
        if (isFinished) return;
        isFinished = true;
        traced(code);
        const elapsedMs = performance.now() - start;
        finished({ status: codes[code], elapsedMs, isFault: FAULTS.has(code) });
        this.parts.calls.report({ method: method.path, status: codes[code], elapsedMs });
      };
      const signal = cancellationOf(call, finish);
      const answer = method.responseStream
        ? this.streamed(call as ServerWritableStream<unknown, unknown>, request, metadata, finish)
        : unary(call, callback, metadata, finish);
      this.admit(call, request, countedAs(method)).then(
        () => withRequestSignal(signal, () => void serve(call, answer.callback)),
        (error: unknown) => answer.refuse(grpcErrorOf(problemFor(error, this.logger), request.id)),
      );
    });
  }

  /** Ends all streams, so that their clients resume at another replica. */
  close(): void {
    this.isClosing = true;
    for (const stream of this.streams.keys()) stream.fail(stopping());
  }

  /** Ends the streams whose caller is no longer identified, because the key of their token was withdrawn. */
  async endWithdrawnStreams(): Promise<void> {
    for (const [stream, { raw }] of this.streams) {
      const identity = await this.parts.identify(raw.headersDistinct);
      if (raw.headersDistinct['authorization'] && !('caller' in identity)) stream.fail(identity.problem());
    }
  }

  /** @throws ProblemException if the call must not reach its handler */
  private async admit(call: Call, request: EdgeRequest, counted: CountedCall): Promise<void> {
    // HTTP/2 itself accepts about 64 KiB.
    if (sizeOf(request) > MAX_HEAD_SIZE)
      throw new HttpException(`The metadata is larger than ${MAX_HEAD_SIZE} bytes.`, 431);
    const headersDistinct = { host: [call.getHost()] };
    const foreign = this.foreignHost?.({ url: request.url, headersDistinct });
    if (foreign) throw foreign;
    this.parts.refuseIfOverloaded();
    if (this.isClosing) throw stopping();
    setIdentity(request, await this.parts.identify(request.raw.headersDistinct));
    await this.parts.rates.countCall(request, counted);
    if (call.request instanceof Undecodable) throw validationProblem([{ pointer: '#', detail: call.request.reason }]);
  }

  private streamed(
    call: ServerWritableStream<unknown, unknown>,
    request: EdgeRequest,
    metadata: Metadata,
    finish: (code: codes) => void,
  ): Answering {
    const stream = new ResponseStream(call, () => {
      call.sendMetadata(metadata);
      this.endWithToken(stream, request);
      if (this.isClosing) stream.fail(stopping());
    });
    setStreamOf(call, stream);
    this.streams.set(stream, request);
    const { calls } = this.parts;
    calls.openStreams++;
    stream.onClose(() => {
      this.streams.delete(stream);
      calls.openStreams--;
    });
    call.once('error', (error: Partial<GrpcError>) => {
      stream.close();
      finish(error.code ?? codes.UNKNOWN);
    });
    call.once('finish', () => {
      stream.close();
      finish(codes.OK);
    });
    return { callback: undefined, refuse: (error) => void call.emit('error', error) };
  }

  private endWithToken(stream: ResponseStream<unknown>, request: EdgeRequest): void {
    const expiresAt = callerIn(identityOf(request))?.expiresAt;
    if (expiresAt) stream.onClose(callAt(expiresAt, () => stream.fail(tokenExpired())));
  }
}

/** How a call is answered. */
interface Answering {
  /** Answers a unary call. */
  readonly callback: sendUnaryData<unknown> | undefined;
  readonly refuse: (error: GrpcError) => void;
}

const FAULTS: ReadonlySet<codes> = new Set([codes.UNKNOWN, codes.INTERNAL, codes.UNAVAILABLE, codes.DATA_LOSS]);

function unary(
  call: Call,
  callback: sendUnaryData<unknown> | undefined,
  metadata: Metadata,
  finish: (code: codes) => void,
): Answering {
  const answer: sendUnaryData<unknown> = (error, value) => {
    if (!error && !call.cancelled) call.sendMetadata(metadata);
    finish(error ? (error.code ?? codes.UNKNOWN) : codes.OK);
    callback?.(error, value);
  };
  return { callback: answer, refuse: (error) => answer(error) };
}

/** Returns a signal that is aborted when the caller cancels the call or its deadline expires. */
function cancellationOf(call: Call, finish: (code: codes) => void): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => {
    const isLate = Number(call.getDeadline()) <= Date.now();
    finish(isLate ? codes.DEADLINE_EXCEEDED : codes.CANCELLED);
    const reason = isLate ? 'The deadline of the call has expired.' : 'The caller has cancelled the call.';
    controller.abort(new RequestAborted(reason));
  };
  if (call.cancelled) abort();
  else call.once('cancelled', abort);
  return controller.signal;
}

/** By their names, which follow those of the standard methods (https://google.aip.dev/130). */
function countedAs({ path, responseStream }: RpcMethod): CountedCall {
  if (responseStream) return 'opened streams';
  return /\/(Get|List)[A-Z]\w*$/.test(path) ? 'reads' : 'writes';
}

function sizeOf({ raw }: EdgeRequest): number {
  let size = 0;
  for (const [name, values = []] of Object.entries(raw.headersDistinct))
    for (const value of values) size += name.length + value.length;
  return size;
}

function stopping(): ProblemException {
  return problemOf({ code: 'service-stopping' }, { 'service-stopping': serviceStopping });
}

function tokenExpired(): ProblemException {
  const detail = 'The access token has expired. Resume the stream with a new one.';
  return new ProblemException({ code: 'caller-unknown', ...commonProblems['caller-unknown'], detail });
}
