import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  credentials as channelCredentials,
  Metadata,
  type ServiceError,
  status as codes,
} from '@grpc/grpc-js';
import { type GrpcApi, GrpcEdge } from '@twinbox/api-kit';
import { BadRequest, ErrorInfo, RetryInfo, Status } from '@twinbox/contracts/grpc/status';
import { type InProcessService } from './in-process.js';

/** The answer to a unary call, or the error. */
export interface GrpcAnswer<Response> {
  /** The name of the status. */
  readonly status: keyof typeof codes;
  readonly message: string;
  /** Undefined for an error. */
  readonly response: Response | undefined;
  /** The metadata of the answer, or of the error. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The code of the problem. */
  readonly reason: string | undefined;
  /** The other facts of the problem. */
  readonly facts: Readonly<Record<string, string>>;
  /** The invalid fields. */
  readonly fields: readonly string[];
  /** In seconds. Undefined if the call must not be repeated. */
  readonly retryAfter: number | undefined;
}

/** What a call may have besides its request. */
export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
  /** Cancels the call. */
  readonly signal?: AbortSignal;
}

/** A method of a generated service definition. */
export interface GrpcMethod<Request, Response> {
  readonly path: string;
  readonly responseStream: boolean;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** A client for any method of a service definition. */
export class GrpcTestClient extends Client {
  /** The client of a service that runs in this process. */
  static of({ app }: Pick<InProcessService, 'app'>): GrpcTestClient {
    return new GrpcTestClient(app.get(GrpcEdge).address ?? '');
  }

  constructor(
    address: string,
    credentials: ChannelCredentials = channelCredentials.createInsecure(),
    options: ChannelOptions = {},
  ) {
    super(address, credentials, options);
  }

  /** Calls a unary method. */
  call<Request, Response>(
    { path, requestSerialize, responseDeserialize }: GrpcMethod<Request, Response>,
    request: Request,
    { headers = {}, deadlineMs, signal }: CallOptions = {},
  ): Promise<GrpcAnswer<Response>> {
    const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
    return new Promise((resolve) => {
      let received: Metadata | undefined;
      const call = this.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadataOf(headers),
        options,
        (error, response) => resolve(answerOf(error, response, received)),
      );
      call.on('metadata', (metadata: Metadata) => (received = metadata));
      signal?.addEventListener('abort', () => call.cancel());
    });
  }

  /** Opens a server stream. */
  open<Request, Response>(
    { path, requestSerialize, responseDeserialize }: GrpcMethod<Request, Response>,
    request: Request,
    { headers = {} }: CallOptions = {},
  ): GrpcTestStream<Response> {
    return new GrpcTestStream(
      this.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadataOf(headers)),
    );
  }
}

/** An open server stream, with all messages so far. */
export class GrpcTestStream<Message> {
  readonly messages: Message[] = [];
  /** How the stream ended. Undefined while it is open. */
  end: GrpcAnswer<undefined> | undefined;

  constructor(readonly call: ReturnType<Client['makeServerStreamRequest']>) {
    call.on('data', (message: Message) => this.messages.push(message));
    call.on('error', (error: ServiceError) => (this.end = answerOf(error, undefined, undefined)));
    call.on('status', ({ code }: { code: codes }) => {
      if (code === codes.OK) this.end = answerOf(null, undefined, undefined);
    });
  }

  cancel(): void {
    this.call.cancel();
  }
}

function metadataOf(headers: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}

function answerOf<Response>(
  error: ServiceError | null,
  response: Response | undefined,
  received: Metadata | undefined,
): GrpcAnswer<Response> {
  const metadata = (error?.metadata ?? received)?.getMap() ?? {};
  const [encoded] = error?.metadata.get('grpc-status-details-bin') ?? [];
  const details = Buffer.isBuffer(encoded) ? Status.decode(encoded).details : [];
  const detail = <T>(type: string, decode: (bytes: Uint8Array) => T): T | undefined => {
    const found = details.find(({ typeUrl }) => typeUrl === `type.googleapis.com/google.rpc.${type}`);
    return found && decode(found.value);
  };
  const info = detail('ErrorInfo', (bytes) => ErrorInfo.decode(bytes));
  const invalid = detail('BadRequest', (bytes) => BadRequest.decode(bytes));
  return {
    status: codes[error?.code ?? codes.OK] as keyof typeof codes,
    message: error?.details ?? '',
    response,
    metadata,
    reason: info?.reason,
    facts: info?.metadata ?? {},
    fields: invalid?.fieldViolations.map(({ field }) => field) ?? [],
    retryAfter: detail('RetryInfo', (bytes) => RetryInfo.decode(bytes))?.retryDelay?.seconds,
  };
}

const NAMES: Readonly<Record<number, keyof typeof codes>> = {
  200: 'OK',
  201: 'OK',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
};

/** Returns the status of a call that is answered like an HTTP request with this status. */
export function grpcStatusOf(status: number): keyof typeof codes | undefined {
  return NAMES[status];
}

/** Returns the paths of all methods that a service serves. */
export function methodsOf({ services }: GrpcApi): string[] {
  return Object.values(services).flatMap((service) => Object.values(service).map(({ path }) => path));
}
