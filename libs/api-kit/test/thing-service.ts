import { type CallOptions, Client, credentials, Metadata, type ServiceError, status as codes } from '@grpc/grpc-js';
import { Controller, Global, Module } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { descriptors } from '@twinbox/contracts/grpc/descriptors';
import { ErrorInfo, RetryInfo, Status } from '@twinbox/contracts/grpc/status';
import {
  connectGrpc,
  databaseModule,
  GrpcEdge,
  HealthModule,
  MessagingProbe,
  Responses,
  type ResponseStream,
} from '../src/index.js';

const SERVICE = 'test.v1.ThingService';

/** A definition like those that ts-proto generates. The messages are JSON. */
const ThingService = { getThing: method('GetThing', false), watchThings: method('WatchThings', true) };

function method(name: string, responseStream: boolean) {
  const serialize = (message: unknown) => Buffer.from(JSON.stringify(message));
  const deserialize = (bytes: Buffer) => JSON.parse(bytes.toString()) as object;
  return {
    path: `/${SERVICE}/${name}`,
    requestStream: false,
    responseStream,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  };
}

@Controller()
class ThingController {
  @GrpcMethod('ThingService')
  getThing() {
    return {};
  }

  @GrpcMethod('ThingService')
  watchThings(@Responses() stream: ResponseStream<object>) {
    stream.send({});
    stream.close();
    return stream.ended;
  }
}

class Probe extends MessagingProbe {
  check() {
    return { healthy: true, components: {} };
  }
}

@Global()
@Module({ providers: [Probe], exports: [Probe] })
class ProbeModule {}

/** A service with two methods by gRPC, and health. There is no database. */
@Module({
  imports: [
    databaseModule({ url: 'postgres://a@127.0.0.1:1/a', schema: 'a', applicationName: 'things' }),
    ProbeModule,
    HealthModule.forRoot({ messaging: Probe }),
  ],
  controllers: [ThingController],
})
export class ThingModule {}

/** Serves the methods of {@link ThingModule}, which the application must import, and returns a client for them. */
export async function listenWithThings(app: NestFastifyApplication): Promise<ThingClient> {
  await connectGrpc(app, { services: { [SERVICE]: ThingService }, descriptors });
  await app.listen(0, '127.0.0.1');
  await app.startAllMicroservices();
  return new ThingClient(app.get(GrpcEdge).address ?? '');
}

/** How a call ended. */
export interface ThingAnswer {
  /** The name of the status. */
  readonly status: keyof typeof codes;
  readonly message: string;
  /** The code of the problem. */
  readonly reason: string | undefined;
  /** In seconds. */
  readonly retryAfter: number | undefined;
}

export class ThingClient extends Client {
  constructor(readonly address: string) {
    super(address, credentials.createInsecure());
  }

  getThing(headers: Readonly<Record<string, string>> = {}): Promise<ThingAnswer> {
    return this.end(ThingService.getThing, headers);
  }

  watchThings(headers: Readonly<Record<string, string>> = {}): Promise<ThingAnswer> {
    return this.end(ThingService.watchThings, headers);
  }

  private end(called: ReturnType<typeof method>, headers: Readonly<Record<string, string>>): Promise<ThingAnswer> {
    const { path, requestSerialize, responseDeserialize } = called;
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    const options: CallOptions = { deadline: Date.now() + 30_000 };
    return new Promise((resolve) => {
      const call = this.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {}, metadata, options);
      call.on('data', () => undefined);
      call.once('error', (error: ServiceError) => resolve(answerOf(error)));
      call.once('end', () => resolve({ status: 'OK', message: '', reason: undefined, retryAfter: undefined }));
    });
  }
}

function answerOf({ code, details, metadata }: ServiceError): ThingAnswer {
  const [encoded] = metadata.get('grpc-status-details-bin');
  const all = Buffer.isBuffer(encoded) ? Status.decode(encoded).details : [];
  const detail = (type: string) => all.find(({ typeUrl }) => typeUrl.endsWith(`/google.rpc.${type}`))?.value;
  const [info, retry] = [detail('ErrorInfo'), detail('RetryInfo')];
  return {
    status: codes[code] as keyof typeof codes,
    message: details,
    reason: info && ErrorInfo.decode(info).reason,
    retryAfter: retry && RetryInfo.decode(retry).retryDelay?.seconds,
  };
}
